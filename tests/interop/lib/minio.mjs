// MinIO: a store that checks signatures and knows conditions of puts. With a bucket, in a folder of its own.

import net from "node:net";

import { S3 } from "../../e2e/lib/s3.mjs";
import { answers, freePort, Service } from "../../e2e/lib/s3_service.mjs";
import { makeFolder } from "../../e2e/lib/server.mjs";
import { foreign } from "./foreign.mjs";

const BUCKET = "interop";
const USER = "interop-user";
const PASSWORD = "interop-secret-key";

// Gives {endpoint, bucket, env, s3, service}: where it is, what its users want in their environment, and a client. With
// `certificates`, a folder that holds public.crt and private.key, it speaks HTTPS, which that client does not.
export async function startMinio({ certificates } = {}) {
  const endpoint = `http${certificates ? "s" : ""}://127.0.0.1:${await freePort()}`;
  const folder = makeFolder("minio");
  const args = ["server", "--quiet", "--address", new URL(endpoint).host, "--console-address", `127.0.0.1:${await freePort()}`,
    ...(certificates ? ["--certs-dir", certificates] : []), folder];
  const env = { HOME: folder, MINIO_ROOT_USER: USER, MINIO_ROOT_PASSWORD: PASSWORD, MINIO_BROWSER: "off", MINIO_UPDATE: "off" };
  const s3 = new S3({ endpoint, bucket: BUCKET, accessKeyId: USER, secretAccessKey: PASSWORD });
  // It calls itself ready some time before it knows its users; who makes the bucket knows.
  const connects = () => new Promise((resolve) => {
    const socket = net.connect(new URL(endpoint).port, "127.0.0.1", () => resolve(socket.destroy() && true));
    socket.on("error", () => resolve(false));
  });
  const ready = certificates ? connects : async () => await answers(`${endpoint}/minio/health/ready`, 200) && (await s3.request("PUT", null)).status === 200;
  const service = await Service.start(foreign("minio"), args, { env, ready });
  return { endpoint, bucket: BUCKET, env: s3.env, s3, service };
}

// The environment of somebody who may do these things with objects below the prefix, and list the bucket if `mayList`: made-up
// credentials for an hour, with a session token.
export async function mayOnly({ s3, bucket }, prefix, actions, mayList = true) {
  const statement = [];
  if (actions.length) statement.push({ Effect: "Allow", Action: actions, Resource: [`arn:aws:s3:::${bucket}/${prefix}*`] });
  if (mayList) {
    statement.push({ Effect: "Allow", Action: ["s3:ListBucket"], Resource: [`arn:aws:s3:::${bucket}`],
      Condition: { StringLike: { "s3:prefix": [`${prefix}*`] } } });
  }
  const body = new URLSearchParams({ Action: "AssumeRole", Version: "2011-06-15", DurationSeconds: "3600",
    Policy: JSON.stringify({ Version: "2012-10-17", Statement: statement }) }).toString();
  const answer = await s3.request("POST", null, { service: "sts", body: Buffer.from(body),
    headers: { "content-type": "application/x-www-form-urlencoded" } });
  const value = (tag) => answer.body.toString().match(new RegExp(`<${tag}>([^<]+)</${tag}>`))?.[1];
  if (answer.status !== 200) throw new Error(`AssumeRole: ${answer.status} ${answer.body}`);
  return { ...s3.env, AWS_ACCESS_KEY_ID: value("AccessKeyId"), AWS_SECRET_ACCESS_KEY: value("SecretAccessKey"), AWS_SESSION_TOKEN: value("SessionToken") };
}
