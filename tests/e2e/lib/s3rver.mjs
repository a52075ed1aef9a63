// A store that speaks S3, of the npm package s3rver: quick to start, and all JavaScript. It checks no signatures, and knows no
// conditions of puts. With a bucket in a folder of its own.

import { createRequire } from "node:module";
import { dirname, join } from "node:path";

import { S3 } from "./s3.mjs";
import { answers, freePort, Service } from "./s3_service.mjs";
import { e2eFolder, makeFolder } from "./server.mjs";

const BUCKET = "backups";

// The program of the package.
function program() {
  const require = createRequire(join(e2eFolder, "package.json"));
  return join(dirname(require.resolve("s3rver/package.json")), "bin", "s3rver.js");
}

// Gives {endpoint, bucket, env, s3, service}: where it is, what its users want in their environment, and a client.
export async function startS3rver() {
  const endpoint = `http://127.0.0.1:${await freePort()}`;
  const { port } = new URL(endpoint);
  // Its checksums are ones that OpenSSL 3 calls legacy.
  const args = ["--openssl-legacy-provider", program(), "--address", "127.0.0.1", "--port", port,
    "--directory", makeFolder("s3rver"), "--configure-bucket", BUCKET, "--no-vhost-buckets", "--silent"];
  const service = await Service.start(process.execPath, args, { ready: () => answers(endpoint) });
  const s3 = new S3({ endpoint, bucket: BUCKET, accessKeyId: "S3RVER", secretAccessKey: "S3RVER" });
  return { endpoint, bucket: BUCKET, env: s3.env, s3, service };
}
