// Just enough of a client of S3 to look into a bucket, and to put there what does not belong there. Written
// from Amazon's description of Signature Version 4, sharing nothing with the server's own.

import { createHash, createHmac } from "node:crypto";
import http from "node:http";

const REQUEST_MS_MAX = 20_000;
const REGION = "us-east-1";

const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");
const hmac = (key, text) => createHmac("sha256", key).update(text).digest();
const escaped = (text) => encodeURIComponent(text).replace(/[!'()*]/g, (c) => "%" + c.charCodeAt(0).toString(16).toUpperCase());

const ENTITIES = { lt: "<", gt: ">", amp: "&", quot: '"', apos: "'" };
const unescaped = (text) => text.replace(/&(?:#(\d+)|#x([0-9a-f]+)|(\w+));/gi, (_, decimal, hex, name) =>
  name ? ENTITIES[name] : String.fromCodePoint(decimal ? Number(decimal) : parseInt(hex, 16)));
const inside = (xml, tag) => {
  const found = xml.match(new RegExp(`<${tag}>([^<]*)</${tag}>`));
  return found ? unescaped(found[1]) : null;
};

export class S3 {
  constructor({ endpoint, bucket, accessKeyId, secretAccessKey }) {
    Object.assign(this, { endpoint: new URL(endpoint), bucket, accessKeyId, secretAccessKey });
  }

  // What programs want in their environment to come to the same store.
  get env() {
    return { AWS_ACCESS_KEY_ID: this.accessKeyId, AWS_SECRET_ACCESS_KEY: this.secretAccessKey, AWS_REGION: REGION };
  }

  // Any request; gives {status, headers, body}. `key` null: of the bucket itself (PUT makes it). `service`: another one at the same
  // place, which knows no buckets.
  request(method, key, { query = {}, body = Buffer.alloc(0), headers = {}, service = "s3" } = {}) {
    const path = service === "s3" ? ["", this.bucket, ...(key === null ? [] : key.split("/"))].map(escaped).join("/") : "/";
    const search = Object.keys(query).sort().map((name) => `${escaped(name)}=${escaped(query[name])}`).join("&");
    const time = new Date().toISOString().replace(/[-:]|\.\d+/g, "");
    const sent = { ...headers, host: this.endpoint.host, "x-amz-content-sha256": sha256(body), "x-amz-date": time };
    const names = Object.keys(sent).sort();
    const scope = `${time.slice(0, 8)}/${REGION}/${service}/aws4_request`;
    const canonical = [method, path, search, ...names.map((name) => `${name}:${sent[name]}`), "", names.join(";"), sha256(body)];
    const toSign = ["AWS4-HMAC-SHA256", time, scope, sha256(canonical.join("\n"))].join("\n");
    const secret = scope.split("/").reduce((key, part) => hmac(key, part), `AWS4${this.secretAccessKey}`);
    const signature = hmac(secret, toSign).toString("hex");
    sent.authorization =
      `AWS4-HMAC-SHA256 Credential=${this.accessKeyId}/${scope}, SignedHeaders=${names.join(";")}, Signature=${signature}`;
    return new Promise((resolve, reject) => {
      const request = http.request({
        host: this.endpoint.hostname, port: this.endpoint.port, method, path: search ? `${path}?${search}` : path,
        headers: { ...sent, "content-length": body.length }, timeout: REQUEST_MS_MAX, agent: false,
      }, (response) => {
        const parts = [];
        response.on("data", (part) => parts.push(part));
        response.on("error", reject);
        response.on("end", () => resolve({ status: response.statusCode, headers: response.headers, body: Buffer.concat(parts) }));
      });
      request.on("error", reject);
      request.on("timeout", () => request.destroy(new Error(`${method} ${path}: no answer in time`)));
      request.end(body);
    });
  }

  async #expect(statuses, method, key, options) {
    const answer = await this.request(method, key, options);
    if (!statuses.includes(answer.status)) throw new Error(`${method} ${key ?? this.bucket}: ${answer.status} ${answer.body}`);
    return answer;
  }

  async put(key, bytes) {
    await this.#expect([200], "PUT", key, { body: Buffer.from(bytes) });
  }

  // Null if there is none.
  async get(key) {
    const { status, body } = await this.#expect([200, 404], "GET", key);
    return status === 404 ? null : body;
  }

  async remove(key) {
    await this.#expect([200, 204, 404], "DELETE", key);
  }

  // All objects below the prefix, as {key, size, modified, tag}, in the order of the store.
  async list(prefix = "") {
    const objects = [];
    for (let token = null; ;) {
      const query = { "list-type": "2", prefix, ...(token === null ? {} : { "continuation-token": token }) };
      const xml = (await this.#expect([200], "GET", null, { query })).body.toString();
      for (const [, entry] of xml.matchAll(/<Contents>(.*?)<\/Contents>/gs)) {
        objects.push({ key: inside(entry, "Key"), size: Number(inside(entry, "Size")), modified: inside(entry, "LastModified"),
          tag: inside(entry, "ETag") });
      }
      token = inside(xml, "NextContinuationToken");
      if (token === null) return objects;
    }
  }
}
