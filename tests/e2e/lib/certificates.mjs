// Certificates made by the openssl command line when a test wants them, so that no private key lies in the tree.

import { X509Certificate } from "node:crypto";
import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { runProgram } from "./server.mjs";

const NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
const DAYS = ["-days", "2"];

// Everything is in here, so that the machine's own configuration does not matter.
const CONFIGURATION = `
[req]
distinguished_name = nothing_else
[nothing_else]
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
subjectKeyIdentifier = hash
[server]
basicConstraints = critical, CA:FALSE
subjectAltName = DNS:localhost, IP:127.0.0.1
`;

// A certificate authority of its own, with its files in `folder`.
export class Authority {
  static async make(folder) {
    const authority = new Authority();
    authority.folder = folder;
    authority.file = join(folder, "authority.pem"); // what a client must trust
    authority.issued = 0;
    writeFileSync(join(folder, "openssl.cnf"), CONFIGURATION);
    await authority.#openssl("req", "-x509", ...NEW_KEY, ...DAYS, "-subj", "/CN=Authority of the tests",
      "-config", "openssl.cnf", "-extensions", "authority", "-keyout", "authority.key", "-out", "authority.pem");
    authority.certificate = readFileSync(authority.file, "utf8");
    return authority;
  }

  // A new key and its certificate for localhost and 127.0.0.1, both in PEM.
  async issue() {
    const serial = String(++this.issued);
    await this.#openssl("req", "-new", ...NEW_KEY, "-subj", `/CN=Server ${serial}`,
      "-config", "openssl.cnf", "-keyout", "new.key", "-out", "new.csr");
    await this.#openssl("x509", "-req", "-in", "new.csr", "-CA", "authority.pem", "-CAkey", "authority.key",
      "-set_serial", serial, ...DAYS, "-extfile", "openssl.cnf", "-extensions", "server", "-out", "new.pem");
    const [certificate, key] = ["new.pem", "new.key"].map((name) => readFileSync(join(this.folder, name), "utf8"));
    return { certificate, key, fingerprint: new X509Certificate(certificate).fingerprint256 };
  }

  async #openssl(...args) {
    const run = await runProgram("openssl", args, { cwd: this.folder });
    if (run.error) throw new Error(`openssl cannot be started: ${run.error.message}`);
    if (run.code !== 0) throw new Error(`openssl ${args[0]}: code ${run.code}: ${run.stderr}`);
  }
}

// The two files that a server reads.
export class CertificateFiles {
  constructor(folder) {
    this.certificatePath = join(folder, "server.pem");
    this.keyPath = join(folder, "server.key");
    this.args = ["--tls-cert", this.certificatePath, "--tls-key", this.keyPath];
  }

  // Each file is replaced as a whole, as tools that renew certificates do it; null leaves none there.
  put({ certificate, key }) {
    for (const [path, text] of [[this.certificatePath, certificate], [this.keyPath, key]]) {
      if (text === null) {
        rmSync(path, { force: true });
        continue;
      }
      writeFileSync(`${path}.new`, text, { mode: 0o600 });
      renameSync(`${path}.new`, path);
    }
  }
}
