// The snapshot objects below a prefix of a bucket, "KEY SIZE" a line: node backup_objects.mjs ENDPOINT BUCKET PREFIX

import { S3 } from "../tests/e2e/lib/s3.mjs";

const [endpoint, bucket, prefix] = process.argv.slice(2);
const s3 = new S3({ endpoint, bucket, accessKeyId: process.env.AWS_ACCESS_KEY_ID, secretAccessKey: process.env.AWS_SECRET_ACCESS_KEY });
for (const { key, size } of await s3.list(prefix)) if (key.includes("/snapshots/")) console.log(key, size);
