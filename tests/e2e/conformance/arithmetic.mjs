// Sum, min and max, by raw messages: most of it no client can send.

import { deserialize, serialize } from "node:v8";

import { M_DELETE, M_MAX, M_MIN, M_SUM, mutation, set, VE_BYTES, VE_LE64, VE_V8 } from "../lib/wire.mjs";
import { expect, le64, show } from "./context.mjs";

const RANGE_TEXT = "The result of a Sum operation would exceed its range limit";
const TYPES_TEXT = "Min/max parameters have different types than the operand";
const PARAMETERS_TEXT = "Some of the parameters are not valid V8 values";
const TOP = 2n ** 64n - 1n;

// The forms of V8's format.
const v8 = (value) => Buffer.from(serialize(value));
const asDouble = (value) => {
  const out = Buffer.from("ff0f4e0000000000000000", "hex");
  out.writeDoubleLE(value, 3);
  return out;
};
const varint = (value) => {
  const out = [];
  for (; value > 0x7f; value = Math.floor(value / 128)) out.push((value % 128) | 0x80);
  return [...out, value];
};
const asUint32 = (value) => Buffer.from([0xff, 0x0f, 0x55, ...varint(value)]);
const asInt32 = (value) => Buffer.from([0xff, 0x0f, 0x49, ...varint(value < 0 ? -value * 2 - 1 : value * 2)]);

const le64Operand = (type, key, value, extra) => mutation(type, key, { data: le64(value), encoding: VE_LE64, extra });
// A sum of a V8 operand, with {min, max, clamp}; bounds as values, or bytes as they are.
function sum(key, operand, { min, max, clamp } = {}) {
  const encoded = (value) => Buffer.isBuffer(value) ? value : v8(value);
  const extra = [];
  if (min !== undefined) extra.push([5, encoded(min)]);
  if (max !== undefined) extra.push([6, encoded(max)]);
  if (clamp) extra.push([7, 1]);
  return mutation(M_SUM, key, { data: encoded(operand), encoding: VE_V8, extra });
}

async function le64Cases(t) {
  const key = t.key("le64");
  const store = (value) => t.commit([set(key, le64(value), VE_LE64)]);
  await t.rule("sum.le64.adds sum.le64.wraps", "sums of LE64", async () => {
    for (const [stored, operand, result] of [[5, 7, 12], [0, 0, 0], [2n ** 63n, 2n ** 63n, 0], [TOP, 1, 0], [TOP, TOP, TOP - 1n], [1, TOP, 0]]) {
      await store(stored);
      await t.commit([le64Operand(M_SUM, key, operand)]);
      await t.expectLe64(key, result);
    }
  });
  await t.rule("min.le64 max.le64", "min and max of LE64, unsigned", async () => {
    for (const [stored, operand] of [[5, 7], [7, 5], [5, 5], [0, TOP], [TOP, 0], [2n ** 63n, 1], [255, 256]]) {
      const [low, high] = BigInt(stored) < BigInt(operand) ? [stored, operand] : [operand, stored];
      await store(stored);
      await t.commit([le64Operand(M_MIN, key, operand)]);
      await t.expectLe64(key, low);
      await store(stored);
      await t.commit([le64Operand(M_MAX, key, operand)]);
      await t.expectLe64(key, high);
    }
  });
  await t.rule("le64.absent", "an absent key takes the operand", async () => {
    for (const type of [M_SUM, M_MIN, M_MAX]) {
      await t.commit([mutation(M_DELETE, key)]);
      await t.commit([le64Operand(type, key, 9)]);
      await t.expectLe64(key, 9);
    }
  });
  await t.rule("sum.le64.ignores-bounds", "bounds and clamp do nothing to LE64", async () => {
    for (const extra of [[[5, v8(1000n)]], [[6, v8(10n)]], [[6, v8(10n)], [7, 1]], [[5, v8(1)], [6, Buffer.from("nonsense")], [7, 1]]]) {
      await store(40);
      await t.commit([le64Operand(M_SUM, key, 2, extra)]);
      await t.expectLe64(key, 42);
    }
  });
  await t.rule("le64.on-other", "LE64 on another kind of value", async () => {
    for (const [data, encoding] of [["bytes", VE_BYTES], [le64(1), VE_BYTES], [v8(1), VE_V8], [v8(1n), VE_V8], [v8("text"), VE_V8]]) {
      await t.commit([set(key, data, encoding)]);
      for (const [type, name] of [[M_SUM, "sum"], [M_MIN, "min"], [M_MAX, "max"]]) {
        await t.refused([le64Operand(type, key, 1)], `Failed to perform '${name}' mutation on a non-U64 value in the database`);
      }
      expect((await t.get(key)).value.equals(Buffer.from(data)), "it was changed");
    }
  });
  for (const [type, name] of [[M_MIN, "min"], [M_MAX, "max"]]) {
    await t.rule(`${name}.operand`, `${name} with an operand that is not LE64`, async () => {
      for (const [data, encoding] of [["12345678", VE_BYTES], [v8(1), VE_V8], [v8(1n), VE_V8]]) {
        for (const before of [set(key, le64(1), VE_LE64), mutation(M_DELETE, key)]) {
          await t.commit([before]);
          await t.refused([mutation(type, key, { data, encoding })], `Failed to perform '${name}' mutation on a non-U64 operand`);
        }
      }
    });
  }
}

async function v8Cases(t) {
  const key = t.key("v8");
  const store = (data, encoding = VE_V8) => t.commit([data === null ? mutation(M_DELETE, key) : set(key, data, encoding)]);
  const expectV8 = async (value) => {
    const entry = await t.get(key);
    expect(entry?.encoding === VE_V8 && Object.is(deserialize(entry.value), value), `wanted ${value}: ${show(entry)}`);
  };
  await t.rule("sum.number.adds sum.number.writes-double", "sums of numbers", async () => {
    for (const [stored, operand] of [[1, 2], [0.1, 0.2], [-5, 2.5], [1e308, 1e308], [2 ** 53, 1], [Infinity, -Infinity], [NaN, 1], [-0, -0], [2147483647, 1]]) {
      await store(asDouble(stored));
      await t.commit([sum(key, asDouble(operand))]);
      await expectV8(stored + operand);
      const { value } = await t.get(key);
      expect(value.length === 11 && value[0] === 0xff && value[2] === 0x4e, `no double: ${value.toString("hex")}`);
    }
  });
  await t.rule("sum.number.forms", "int32, uint32 and double, stored and operand", async () => {
    const forms = [asInt32(-3), asInt32(7), asUint32(9), asUint32(4294967295), asDouble(0.5), v8(70000), v8(3e9)];
    const values = [-3, 7, 9, 4294967295, 0.5, 70000, 3e9];
    for (const [i, stored] of forms.entries()) {
      for (const [j, operand] of forms.entries()) {
        await store(stored);
        await t.commit([sum(key, operand)]);
        await expectV8(values[i] + values[j]);
      }
    }
  });
  await t.rule("sum.bigint.adds", "sums of BigInts", async () => {
    for (const [stored, operand] of [[1n, 2n], [0n, 0n], [-5n, 5n], [5n, -7n], [TOP, 1n], [2n ** 63n - 1n, 1n], [2n ** 200n, -(2n ** 100n)], [-(2n ** 64n), -1n], [2n ** 1000n, 2n ** 1000n]]) {
      await store(v8(stored));
      await t.commit([sum(key, operand)]);
      await expectV8(stored + operand);
    }
  });
  await t.rule("sum.v8.absent", "an absent key takes the operand, whatever the bounds", async () => {
    for (const [operand, bounds] of [[5, {}], [5n, {}], [5, { min: 10 }], [5n, { max: 1n }], [5, { max: 1, clamp: true }], [-5n, { min: 0n, max: 2n, clamp: true }]]) {
      await store(null);
      await t.commit([sum(key, operand, bounds)]);
      await expectV8(operand);
    }
  });
  // Both types, with the sum at, beyond and within a bound.
  for (const [name, of] of [["number", Number], ["BigInt", BigInt]]) {
    await t.rule("sum.v8.min sum.v8.max", `bounds of a ${name} without clamp`, async () => {
      for (const [operand, bounds, fits] of [
        [5, { max: 15 }, true], [6, { max: 15 }, false], [-5, { min: 5 }, true], [-6, { min: 5 }, false],
        [0, { min: 0, max: 20 }, true], [11, { min: 0, max: 20 }, false], [-11, { min: 0, max: 20 }, false],
      ]) {
        await store(v8(of(10)));
        const own = Object.fromEntries(Object.entries(bounds).map(([which, value]) => [which, of(value)]));
        if (fits) await t.commit([sum(key, of(operand), own)]);
        else await t.refused([sum(key, of(operand), own)], RANGE_TEXT);
        await expectV8(fits ? of(10 + operand) : of(10));
      }
    });
    await t.rule("sum.v8.clamp", `bounds of a ${name} with clamp`, async () => {
      for (const [operand, bounds, result] of [
        [9, { max: 15 }, 15], [5, { max: 15 }, 15], [4, { max: 15 }, 14], [-9, { min: 5 }, 5], [-4, { min: 5 }, 6],
        [100, { min: 0, max: 20 }, 20], [-100, { min: 0, max: 20 }, 0], [3, {}, 13],
      ]) {
        await store(v8(of(10)));
        const own = Object.fromEntries(Object.entries(bounds).map(([which, value]) => [which, of(value)]));
        await t.commit([sum(key, of(operand), { ...own, clamp: true })]);
        await expectV8(of(result));
      }
    });
  }
  await t.rule("sum.v8.bound-types", "bounds of another type than the operand", async () => {
    await store(v8(1));
    for (const bounds of [{ min: 0n }, { max: 9n }, { min: 0, max: 9n }, { min: 0n, max: 9 }]) await t.refused([sum(key, 1, bounds)], TYPES_TEXT);
    await store(v8(1n));
    for (const bounds of [{ min: 0 }, { max: 9 }, { min: 0n, max: 9, clamp: true }]) await t.refused([sum(key, 1n, bounds)], TYPES_TEXT);
    await store(null);
    await t.refused([sum(key, 1n, { min: 1 })], TYPES_TEXT);
  });
  await t.rule("sum.v8.bad-parameters", "operands and bounds that are no numbers", async () => {
    await store(v8(1));
    const bad = [v8("text"), v8(null), v8({ a: 1 }), Buffer.from("ff0f", "hex"), Buffer.from("ff0f4e00", "hex"), Buffer.from("00", "hex")];
    for (const bytes of [...bad, Buffer.alloc(0)]) await t.refused([sum(key, bytes)], PARAMETERS_TEXT);
    for (const bytes of bad) {
      await t.refused([sum(key, 1, { min: bytes })], PARAMETERS_TEXT);
      await t.refused([sum(key, 1, { max: bytes })], PARAMETERS_TEXT);
    }
    await t.refused([mutation(M_SUM, key, { data: "12345678", encoding: VE_BYTES })], PARAMETERS_TEXT);
    await t.commit([sum(key, 1, { min: Buffer.alloc(0), max: Buffer.alloc(0) })]);
    await expectV8(2);
  });
  await t.rule("sum.v8.types", "sums of different types", async () => {
    for (const [stored, operand, text] of [
      [v8(1n), 1, "Cannot sum BigInt with Number"], [v8(1), 1n, "Cannot sum Number with BigInt"], [null, 1, "Cannot sum KvU64 with Number"],
    ]) {
      await (stored ? store(stored) : store(le64(1), VE_LE64));
      await t.refused([sum(key, operand)], text);
      await t.refused([sum(key, operand, { min: operand, clamp: true })], text);
    }
  });
  await t.rule("sum.v8.le64", "a BigInt on a stored LE64", async () => {
    for (const [stored, operand, result] of [[5, 7n, 12], [5, 0n, 5], [TOP, 1n, 0], [1, TOP, 0], [0, TOP, TOP]]) {
      await store(le64(stored), VE_LE64);
      await t.commit([sum(key, operand)]);
      await t.expectLe64(key, result);
    }
  });
  await t.rule("sum.v8.le64-refused", "other BigInts on a stored LE64", async () => {
    await store(le64(5), VE_LE64);
    for (const [operand, bounds] of [[-1n], [2n ** 64n], [1n, { min: 0n }], [1n, { max: 9n }], [1n, { clamp: true }], [1n, { max: 9n, clamp: true }]]) {
      await t.refused([sum(key, operand, bounds)], "Cannot sum KvU64 with BigInt");
    }
    await t.expectLe64(key, 5);
  });
  await t.rule("sum.v8.other-kind", "a sum on a stored value of another kind", async () => {
    for (const value of ["text", null, undefined, true, { n: 1 }, [1], new Date(0), new Map()]) {
      await store(v8(value));
      await t.refused([sum(key, 1)], /unsupported value type/);
      await t.refused([sum(key, 1n)], /unsupported value type/);
    }
    await store("raw", VE_BYTES);
    await t.refused([sum(key, 1)], /unsupported value type/);
    await store("nothing of V8");
    await t.refused([sum(key, 1)], /invalid v8 value/);
  });
}

export async function arithmeticCases(t) {
  await le64Cases(t);
  await v8Cases(t);
}

export { sum };
