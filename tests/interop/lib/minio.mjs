// MinIO: a store that checks signatures and knows conditions of puts. With a bucket, in a folder of its own.

import { S3 } from "../../e2e/lib/s3.mjs";
import { answers, freePort, Service } from "../../e2e/lib/s3_service.mjs";
import { makeFolder } from "../../e2e/lib/server.mjs";
import { foreign } from "./foreign.mjs";

const BUCKET = "interop";
const USER = "interop-user";
const PASSWORD = "interop-secret-key";

// Gives {endpoint, bucket, env, s3, service}: where it is, what its users want in their environment, and a client.
export async function startMinio() {
  const endpoint = `http://127.0.0.1:${await freePort()}`;
  const folder = makeFolder("minio");
  const args = ["server", "--quiet", "--address", new URL(endpoint).host, "--console-address", `127.0.0.1:${await freePort()}`, folder];
  const env = { HOME: folder, MINIO_ROOT_USER: USER, MINIO_ROOT_PASSWORD: PASSWORD, MINIO_BROWSER: "off", MINIO_UPDATE: "off" };
  const s3 = new S3({ endpoint, bucket: BUCKET, accessKeyId: USER, secretAccessKey: PASSWORD });
  // It calls itself ready some time before it knows its users; who makes the bucket knows.
  const ready = async () => await answers(`${endpoint}/minio/health/ready`, 200) && (await s3.request("PUT", null)).status === 200;
  const service = await Service.start(foreign("minio"), args, { env, ready });
  return { endpoint, bucket: BUCKET, env: s3.env, s3, service };
}
