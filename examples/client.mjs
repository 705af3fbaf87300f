// One token in Node, without any dependency: Unix socket, JSON-RPC 2.0, one message a line, and the signature verified
// with Node's own crypto. Node 18 or later.

import { createPublicKey, randomBytes, verify } from "node:crypto";
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { homedir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

function socketPath() {
  const { VITALE_READER_HOME: home, XDG_RUNTIME_DIR: runtime } = process.env;
  const run = home ? join(home, "run")
    : runtime ? join(runtime, "vitale-reader")
    : join(homedir(), ".local/state/vitale-reader/run");
  return JSON.parse(readFileSync(join(run, "endpoints.json"), "utf8")).unix;
}

class Daemon {
  #socket;
  #waiting = new Map();
  #lastId = 0;

  constructor(path) {
    this.#socket = connect(path);
    this.#socket.on("error", (error) => this.#end(error));
    this.#socket.on("close", () => this.#end(new Error("the daemon hung up")));
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

const daemon = new Daemon(socketPath());
try {
  const session = await daemon.call("session.open", { protocol: [1], client: { name: "node" }, language: "fr" });
  const nonce = randomBytes(24).toString("base64url");
  const { token } = await daemon.call("presentation.request", { nonce, scopes: ["identity"], timeout_ms: 60_000 });
  const claims = verified(token, session.jwks, session.client_id, nonce);
  const { beneficiaires, porteur } = claims.record;
  console.log(beneficiaires[porteur].nom_usuel, beneficiaires[porteur].prenom);
  console.log("  token verified: ES256, key of the station, audience, nonce, expiry");
  console.log(`  proof ${claims.proof.method}, verified: ${claims.proof.verified}, origin: ${claims.origin}`);
  await daemon.call("outbox.ack", { jti: [claims.jti] });
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
} finally {
  daemon.close();
}
