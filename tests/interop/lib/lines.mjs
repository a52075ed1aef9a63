// A state of a database as lines, one for each entry, in the order of keys: "KEY VALUE ENCODING VERSIONSTAMP", the first two
// in hex. Every side that is asked for a state is brought into this form; then they are compared line by line.

export const lineOf = ({ key, value, encoding, versionstamp }) => `${key} ${value} ${encoding} ${versionstamp}`;

// Buffers compare as bytes do; so does hex.
export const inOrder = (lines) => [...lines].sort((a, b) => {
  const [left, right] = [a.slice(0, a.indexOf(" ")), b.slice(0, b.indexOf(" "))];
  return left < right ? -1 : left > right ? 1 : 0;
});

const short = (line) => line === undefined ? "nothing" : line.length < 300 ? line : `${line.slice(0, 200)}...${line.slice(-60)}`;

// Gives how many there are; an error says where they differ first.
export function expectSame(found, wanted, what) {
  for (let i = 0; i < Math.max(found.length, wanted.length); i++) {
    if (found[i] === wanted[i]) continue;
    throw new Error(`${what}: line ${i + 1} of ${found.length}, which should be ${wanted.length}:\n` +
      `  found:  ${short(found[i])}\n  wanted: ${short(wanted[i])}`);
  }
  return wanted.length;
}

export function expect(condition, message) {
  if (!condition) throw new Error(message);
}
