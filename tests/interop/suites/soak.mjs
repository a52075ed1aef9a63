// A little of what `./dev soak` does for as long as one likes.

import { expect } from "../lib/lines.mjs";
import { soak } from "../lib/soak.mjs";

const MS = 25_000;

export default async function soaks(suite, { minio, log }) {
  for (const durable of [false, true]) {
    await suite.test(`kills, faults, restores${durable ? ", with --durability backup" : ""}`, async () => {
      const counts = await soak({ minio, log, seed: 91, durable }, MS);
      expect(counts.kills > 0 && counts["replica kills"] > 0, `it was all too quiet: ${JSON.stringify(counts)}`);
    });
  }
}
