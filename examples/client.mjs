// One token in Node, without any dependency: JSON-RPC 2.0, one message a line, and the signature verified with Node's own
// crypto. Node 18 or later.
//
// Run it as `node client.mjs` for the daemon's Unix socket, or as `node client.mjs PAIRING.json` for TLS with the file
// that `vitale-reader clients add` wrote.

import { createHash, createPublicKey, randomBytes, verify } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { homedir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { connect as connectTls } from "node:tls";

async function unixSocket() {
  const { VITALE_READER_HOME: home, XDG_RUNTIME_DIR: runtime } = process.env;
  const run = home ? join(home, "run")
    : runtime ? join(runtime, "vitale-reader")
    : join(homedir(), ".local/state/vitale-reader/run");
  const { unix } = JSON.parse(readFileSync(join(run, "endpoints.json"), "utf8"));
  if (!unix) throw new Error("The daemon has no Unix socket here: name a pairing file, for TLS.");
  const socket = connect(unix);
  await once(socket, "connect");
  return socket;
}

// Nothing is said before the daemon's certificate was compared with the pin of the pairing. That is also why Node need
// not verify it: no authority signed it, and the pin says more than any name.
async function tlsSocket(pairing) {
  const { hostname, port } = new URL(pairing.address.replace("tls:", "https:"));
  const socket = connectTls({
    host: hostname.replace(/^\[|\]$/g, ""), port, cert: pairing.certificate, key: pairing.private_key,
    minVersion: "TLSv1.3", rejectUnauthorized: false,
  });
  await once(socket, "secureConnect");
  const digest = createHash("sha256").update(socket.getPeerCertificate().raw).digest("hex");
  if (digest !== pairing.daemon_certificate_sha256.replaceAll(":", "").toLowerCase()) {
    socket.destroy();
    throw new Error("This is not the daemon of the pairing: another program holds its port.");
  }
  return socket;
}

class Daemon {
  #socket;
  #waiting = new Map();
  #lastId = 0;

  constructor(socket) {
    this.#socket = socket;
    this.#socket.on("error", (error) => this.#end(error));
    this.#socket.on("close", () => this.#end(new Error("The daemon hung up.")));
    createInterface({ input: this.#socket }).on("line", (line) => this.#take(JSON.parse(line)));
  }

  call(method, params) {
    const id = ++this.#lastId;
    this.#socket.write(JSON.stringify({ jsonrpc: "2.0", id, method, params }) + "\n");
    return new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
  }

  close() {
    this.#socket.end();
  }

  #take(message) {
    if (message.method === "presentation.progress") console.log(message.params.message);
    const call = this.#waiting.get(message.id);
    if (!call) return;
    this.#waiting.delete(message.id);
    if (message.error) call.reject(new Error(`${message.error.message} (${message.error.data.reason})`));
    else call.resolve(message.result);
  }

  #end(error) {
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}

// Raises where the token is not what was asked for; returns what it says. A service would also remember `jti`.
function verified(token, jwks, audience, nonce) {
  const [head, body, signature] = token.split(".");
  const header = JSON.parse(Buffer.from(head, "base64url"));
  if (header.typ !== "vitale-presence+jwt" || header.alg !== "ES256") throw new Error("not a token of this kind");
  const jwk = jwks.keys.find((key) => key.kid === header.kid);
  if (!jwk) throw new Error("signed with an unknown key");
  const key = { key: createPublicKey({ key: jwk, format: "jwk" }), dsaEncoding: "ieee-p1363" };
  if (!verify("sha256", Buffer.from(`${head}.${body}`), key, Buffer.from(signature, "base64url"))) {
    throw new Error("the signature is wrong");
  }
  const claims = JSON.parse(Buffer.from(body, "base64url"));
  if (claims.aud !== audience) throw new Error("for somebody else");
  if (claims.nonce !== nonce) throw new Error("answers another nonce");
  if (claims.exp + 30 < Date.now() / 1000) throw new Error("expired");
  return claims;
}

// A phone's code names nobody until the apCV service has answered.
function holder({ beneficiaires = [], porteur }) {
  const person = beneficiaires[porteur];
  return person ? `${person.nom_usuel ?? ""} ${person.prenom ?? ""}`.trim() : "nobody is named";
}

async function main(pairingFile) {
  const daemon = new Daemon(
    await (pairingFile ? tlsSocket(JSON.parse(readFileSync(pairingFile, "utf8"))) : unixSocket()),
  );
  try {
    const session = await daemon.call("session.open", { protocol: [1], client: { name: "node" }, language: "fr" });
    const nonce = randomBytes(24).toString("base64url");
    const { token } = await daemon.call("presentation.request", { nonce, scopes: ["identity"], timeout_ms: 60_000 });
    const claims = verified(token, session.jwks, session.client_id, nonce);
    console.log(holder(claims.record));
    console.log("  token verified: ES256, key of the station, audience, nonce, expiry");
    console.log(`  proof ${claims.proof.method}, verified: ${claims.proof.verified}, origin: ${claims.origin}`);
    await daemon.call("outbox.ack", { jti: [claims.jti] });
  } finally {
    daemon.close();
  }
}

try {
  await main(process.argv[2]);
} catch (error) {
  // `syscall` is a member of errors of the system alone: no such file, nobody listens there.
  console.error(error.syscall
    ? `No daemon answers: start one with \`vitale-reader serve\`. (${error.message})`
    : error.message);
  process.exitCode = 1;
}
