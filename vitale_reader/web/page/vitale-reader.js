// SPDX-License-Identifier: Apache-2.0
/**
 * The page's side of vitale-reader: a session that is sealed from this page to the desk. The extension for browsers
 * carries it where it is installed and this site was granted; else a WebSocket of this machine does.
 *
 * - The station proves itself first, by the key that was pinned at the pairing; then the page, by a key that cannot leave
 *   this browser. From then on each frame is sealed (AES-256-GCM).
 * - Nothing is stored but the pinned key and the page's own. Tokens are not.
 * - A token is verified by the billing server. What `verify` does here is for the display alone.
 */

/** @typedef {"embedded" | "blocked_by_csp" | "permission_denied" | "permission_prompt" | "unreachable" | "wrong_daemon" | "not_paired" | "revoked" | "refused" | "error"} State */
/** @typedef {{ kid: string, key: CryptoKey, stationJwk: JsonWebKey }} Desk */
/** @typedef {{ kty: string, crv: string, x: string, y: string }} Point */
/** @typedef {Record<string, any>} Json */
/** @typedef {{ signal?: AbortSignal, onProgress?: (params: Json) => void }} CallOptions */

const PROTOCOL = "vitale-reader.1";
const CURVE = { name: "ECDSA", namedCurve: "P-256" };
const SIGNATURE = { name: "ECDSA", hash: "SHA-256" };
const SEALED_BYTES = 786224;
const REVOKED = 4001;
// A host is a program that starts: milliseconds on a quick desk.
const EXTENSION_LIMIT = 15000;

const utf8 = new TextEncoder();

/** A failure, with the state that a page can tell a person of. */
export class VitaleReaderError extends Error {
  /**
   * @param {State} state
   * @param {string} message
   * @param {Json} [data] what the desk said of it
   */
  constructor(state, message, data = {}) {
    super(message);
    this.name = "VitaleReaderError";
    this.state = state;
    this.data = data;
  }
}

/** One desk, as this page knows it. */
export class VitaleReader {
  /** @param {{ port?: number, name?: string, version?: string, language?: "fr" | "en" }} [options] */
  constructor(options = {}) {
    this.port = options.port ?? 7817;
    // A title may be empty, or longer than a name.
    const name = [...(options.name || document.title || "page")].slice(0, 100).join("");
    this.client = { name, version: options.version ?? "1" };
    this.language = options.language ?? "fr";
  }

  /** True if this browser keeps a key of a pairing. */
  async isPaired() {
    return (await kept()) !== undefined;
  }

  /** Forgets the pairing; the desk keeps it until it is revoked there. */
  async forget() {
    await store("readwrite", (desks) => desks.delete("desk"));
  }

  /**
   * Pairs this page. A person opens a window at the desk first, and types there the six digits that `onCode` is given.
   * `confirm` asks them whether the desk says, too, that this site is paired: a program in between could say so alone.
   *
   * @param {{ name: string, scopes: string[], onCode: (code: string) => void, confirm?: () => boolean | Promise<boolean>, signal?: AbortSignal }} options
   * @returns {Promise<{ clientId: string, scopes: string[] }>}
   */
  async pair({ name, scopes, onCode, confirm = () => true, signal }) {
    const pair = /** @type {CryptoKeyPair} */ (await crypto.subtle.generateKey(CURVE, false, ["sign", "verify"]));
    const jwk = point(await crypto.subtle.exportKey("jwk", pair.publicKey));
    const nonce = random();
    const channel = await this.#dial(signal);
    try {
      const commit = b64u(await sha256(utf8.encode("vr-pair-1"), nonce));
      const told = await channel.call("pairing.request", { name, scopes, jwk, commit });
      onCode(await sixDigits(location.origin, jwk, told.station_jwk, nonce, unb64u(told.nonce_d)));
      const paired = await channel.call("pairing.reveal", { pairing: told.pairing, nonce_p: b64u(nonce) });
      if (!(await confirm())) throw wrongDaemon();
      const desk = { kid: await thumbprint(jwk), key: pair.privateKey, stationJwk: told.station_jwk };
      await store("readwrite", (desks) => desks.put(desk, "desk"));
      return { clientId: paired.client_id, scopes: paired.scopes };
    } finally {
      channel.close();
    }
  }

  /**
   * Opens a session. With `patience` it tries again until then, as after a restart of the desk.
   *
   * @param {{ signal?: AbortSignal, patience?: number }} [options] `patience` in milliseconds
   * @returns {Promise<Session>}
   */
  async connect({ signal, patience = 0 } = {}) {
    refuseFrames();
    const desk = await kept();
    if (desk === undefined) throw new VitaleReaderError("not_paired", "this browser keeps no key of a pairing");
    const end = performance.now() + patience;
    for (let wait = 250; ; wait = Math.min(wait * 2, 5000)) {
      try {
        return await this.#open(desk, signal);
      } catch (error) {
        const again = error instanceof VitaleReaderError && error.state === "unreachable";
        if (!again || performance.now() + wait > end) throw error;
      }
      await pause(wait * (0.5 + Math.random() / 2), signal);
    }
  }

  /**
   * @param {Desk} desk
   * @param {AbortSignal} [signal]
   */
  async #open(desk, signal) {
    const channel = await this.#dial(signal);
    try {
      return await handshake(channel, desk, { protocol: [1], client: this.client, language: this.language });
    } catch (error) {
      channel.close();
      throw error;
    }
  }

  /** @param {AbortSignal} [signal] */
  async #dial(signal) {
    refuseFrames();
    await shown(signal);
    const extension = await carried(signal);
    if (extension !== undefined) return new Channel(extension, "stdio");
    const permission = await localNetwork();
    if (permission === "denied") throw new VitaleReaderError("permission_denied", "the browser keeps pages from this machine");
    const limit = permission === "prompt" ? 120000 : 3000;
    return new Channel(await opened(`ws://127.0.0.1:${this.port}/v1`, limit, permission, signal), "websocket");
  }
}

/** An open session; every call goes through it sealed. */
export class Session {
  /**
   * @param {Channel} channel
   * @param {Json} told the answer to `session.open`
   */
  constructor(channel, told) {
    this.channel = channel;
    /** How it goes: `stdio` by the extension, else `websocket`. */
    this.via = channel.via;
    this.clientId = /** @type {string} */ (told.client_id);
    this.scopes = /** @type {string[]} */ (told.scopes);
    this.station = told.station;
    this.jwks = /** @type {{ keys: JsonWebKey[] }} */ (told.jwks);
    /** Settled with the reason once the session has ended. */
    this.ended = channel.ended;
    addEventListener("pagehide", () => this.close(), { once: true });
  }

  /**
   * Calls a method of the desk.
   *
   * @param {string} method
   * @param {Json} [params]
   * @param {CallOptions} [options]
   * @returns {Promise<Json>}
   */
  call(method, params = {}, options = {}) {
    return this.channel.call(method, params, options);
  }

  /**
   * Waits for the next card, phone or code, and gives its token.
   *
   * @param {Json} wish `nonce` (of the billing server), `media`, `scopes` …
   * @param {CallOptions} [options]
   */
  read(wish, options = {}) {
    return this.call("presentation.request", wish, options);
  }

  /** Tokens that were issued to this page and not acknowledged, as after a reload. */
  async recover() {
    return /** @type {{ jti: string, token: string }[]} */ ((await this.call("outbox.list")).tokens);
  }

  /** @param {string[]} jti of tokens that the billing server has */
  acknowledge(jti) {
    return this.call("outbox.ack", { jti });
  }

  close() {
    this.channel.close();
  }
}

/**
 * Checks a token for the display: signature, audience, nonce. The billing server does it for good.
 *
 * @param {string} token
 * @param {{ jwks: { keys: JsonWebKey[] }, clientId: string, nonce: string }} expected
 * @returns {Promise<Json>} its claims
 */
export async function verify(token, { jwks, clientId, nonce }) {
  const [head, body, signature] = token.split(".");
  const { alg, kid } = parsed(head);
  const jwk = jwks.keys.find((each) => /** @type {any} */ (each).kid === kid);
  if (alg !== "ES256" || jwk === undefined) throw new VitaleReaderError("error", "not signed by this desk");
  const key = await crypto.subtle.importKey("jwk", point(jwk), CURVE, false, ["verify"]);
  const claims = parsed(body);
  const isSigned = await crypto.subtle.verify(SIGNATURE, key, unb64u(signature), utf8.encode(`${head}.${body}`));
  const isOurs = [claims.aud].flat().includes(clientId) && claims.nonce === nonce && claims.site === location.origin;
  if (!isSigned || !isOurs) throw new VitaleReaderError("error", "not a token of this desk for this page");
  return claims;
}

// ── the session ──

/**
 * @param {Channel} channel
 * @param {Desk} desk
 * @param {Json} opening
 */
async function handshake(channel, desk, opening) {
  const agreement = { name: "ECDH", namedCurve: "P-256" };
  const fresh = /** @type {CryptoKeyPair} */ (await crypto.subtle.generateKey(agreement, false, ["deriveBits"]));
  const epk = b64u(await crypto.subtle.exportKey("raw", fresh.publicKey));
  const nonce = b64u(random());
  const told = await channel.call("session.challenge", { kid: desk.kid, client_nonce: nonce, epk });

  const claims = await ofStation(told.proof, desk.stationJwk);
  const expected = { challenge: told.challenge, epk: told.epk, client_nonce: nonce, client_epk: epk, site: location.origin, via: channel.via };
  if (!Object.entries(expected).every(([name, value]) => claims[name] === value)) throw wrongDaemon();

  const proof = await signed(desk, {
    aud: told.station,
    challenge: told.challenge,
    client_nonce: nonce,
    epk,
    station_epk: told.epk,
    site: location.origin,
    via: channel.via,
    jti: b64u(random()),
    open: opening,
  });
  const theirs = await crypto.subtle.importKey("raw", unb64u(told.epk), agreement, false, []);
  const shared = await crypto.subtle.deriveBits({ name: "ECDH", public: theirs }, fresh.privateKey, 256);
  const secret = await crypto.subtle.importKey("raw", shared, "HKDF", false, ["deriveKey"]);
  const salt = await sha256(prefixed(utf8.encode(told.proof), utf8.encode(proof)));
  /** @param {string} info @param {KeyUsage} use */
  const key = (info, use) =>
    crypto.subtle.deriveKey({ name: "HKDF", hash: "SHA-256", salt, info: utf8.encode(info) }, secret, { name: "AES-GCM", length: 256 }, false, [use]);
  const keys = { c2s: await key("vr-1 c2s", "encrypt"), s2c: await key("vr-1 s2c", "decrypt") };
  return new Session(channel, await channel.open({ ...opening, credential: { kid: desk.kid, proof } }, keys));
}

/** @param {string} jws @param {JsonWebKey} jwk the pinned one */
async function ofStation(jws, jwk) {
  const [head, body, signature] = String(jws).split(".");
  const { typ, alg, kid } = parsed(head);
  if (typ !== "vr-station+jwt" || alg !== "ES256" || kid !== (await thumbprint(point(jwk)))) throw wrongDaemon();
  const key = await crypto.subtle.importKey("jwk", point(jwk), CURVE, false, ["verify"]);
  if (!(await crypto.subtle.verify(SIGNATURE, key, unb64u(signature), utf8.encode(`${head}.${body}`)))) throw wrongDaemon();
  return parsed(body);
}

/** @param {Desk} desk @param {Json} claims */
async function signed(desk, claims) {
  const head = { typ: "vr-session+jwt", alg: "ES256", kid: desk.kid };
  const text = [head, claims].map((part) => b64u(utf8.encode(JSON.stringify(part)))).join(".");
  return `${text}.${b64u(await crypto.subtle.sign(SIGNATURE, desk.key, utf8.encode(text)))}`;
}

const wrongDaemon = () => new VitaleReaderError("wrong_daemon", "another program answers in the place of the paired desk");

/** Calls over one line, plain until the session is open. */
class Channel {
  /** @type {{ c2s: CryptoKey, s2c: CryptoKey } | null} */ #keys = null;
  /** @type {Map<number, { resolve: (result: Json) => void, reject: (error: Error) => void, onProgress?: (params: Json) => void }>} */
  #waiting = new Map();
  #number = 0;
  #sealed = 0;
  #opened = 0;
  /** Frames are sealed and opened in their order. @type {Promise<unknown>} */ #sending = Promise.resolve();
  /** @type {Promise<unknown>} */ #reading = Promise.resolve();

  /** @param {WebSocket | Carried} socket @param {"websocket" | "stdio"} via */
  constructor(socket, via) {
    this.socket = socket;
    this.via = via;
    /** @type {(error: VitaleReaderError) => void} */ let end = () => {};
    /** @type {Promise<VitaleReaderError>} */
    this.ended = new Promise((resolve) => (end = resolve));
    socket.onmessage = (/** @type {{ data: string }} */ { data }) => {
      this.#reading = this.#reading.then(() => this.#take(data)).catch(() => socket.close(4002));
    };
    socket.onclose = (/** @type {{ code: number }} */ { code }) => {
      // What came before the end is read before it.
      this.#reading.finally(() => {
        const state = code === REVOKED ? "revoked" : code === 1008 ? "refused" : "unreachable";
        const error = new VitaleReaderError(state, `the desk ended the connection (${code})`, { code });
        for (const { reject } of this.#waiting.values()) reject(error);
        this.#waiting.clear();
        end(error);
      });
    };
  }

  close() {
    this.socket.close(1000);
  }

  /** @param {Json} params @param {{ c2s: CryptoKey, s2c: CryptoKey }} keys */
  open(params, keys) {
    const answer = this.call("session.open", params);
    this.#sending = this.#sending.then(() => (this.#keys = keys));
    return answer;
  }

  /**
   * @param {string} method
   * @param {Json} params
   * @param {CallOptions} [options]
   * @returns {Promise<Json>}
   */
  call(method, params, { signal, onProgress } = {}) {
    const id = ++this.#number;
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      if (this.socket.readyState !== WebSocket.OPEN) return reject(new VitaleReaderError("unreachable", "the connection has ended"));
      const abort = () => {
        if (!this.#waiting.delete(id)) return;
        if (method === "presentation.request") this.call("presentation.cancel", { request: id }).catch(() => {});
        reject(signal?.reason);
      };
      const settled = () => signal?.removeEventListener("abort", abort);
      signal?.addEventListener("abort", abort, { once: true });
      this.#waiting.set(id, {
        resolve: (result) => (settled(), resolve(result)),
        reject: (error) => (settled(), reject(error)),
        onProgress,
      });
      this.#send({ jsonrpc: "2.0", id, method, params }).catch((error) => this.#waiting.get(id)?.reject(error));
    });
  }

  /** @param {Json} message */
  #send(message) {
    const sent = this.#sending.then(async () => {
      const text = utf8.encode(JSON.stringify(message));
      if (text.length > SEALED_BYTES) throw new VitaleReaderError("error", "the message is longer than the limit");
      if (this.#keys === null) return this.socket.send(new TextDecoder().decode(text));
      const n = this.#sealed++;
      const c = await crypto.subtle.encrypt(sealing(this.via, n), this.#keys.c2s, text);
      this.socket.send(JSON.stringify({ n, c: b64u(c) }));
    });
    this.#sending = sent.catch(() => {});
    return sent;
  }

  /** @param {string} data */
  async #take(data) {
    let message = JSON.parse(data);
    if ("c" in message && this.#keys !== null) {
      if (message.n !== this.#opened) throw new Error("not the next frame");
      const text = await crypto.subtle.decrypt(sealing(this.via, this.#opened++), this.#keys.s2c, unb64u(message.c));
      message = JSON.parse(new TextDecoder().decode(text));
    } else if (this.#keys !== null && (this.#opened > 0 || !("error" in message))) {
      // Only the refusal of a session is said plainly: whoever carries the frames could say all else.
      throw new Error("a plain frame in a sealed session");
    }
    if ("method" in message) {
      this.#waiting.get(message.params?.request)?.onProgress?.(message.params);
      return;
    }
    const call = this.#waiting.get(message.id);
    this.#waiting.delete(message.id);
    if (call === undefined) return;
    if (!("error" in message)) return call.resolve(message.result);
    const { reason } = message.error.data ?? {};
    call.reject(new VitaleReaderError(reason === "not_authenticated" ? "refused" : "error", message.error.message, message.error.data));
  }
}

// ── the extension ──

/** A channel that the extension carries, with what `Channel` uses of a WebSocket. */
class Carried {
  /** @type {number} */ readyState = WebSocket.OPEN;
  /** @type {((event: { data: string }) => void) | null} */ onmessage = null;
  /** @type {((event: { code: number }) => void) | null} */ onclose = null;

  /** @param {MessagePort} port */
  constructor(port) {
    this.port = port;
    port.onmessage = ({ data }) => {
      if ("close" in data) this.#end(data.close);
      else if ("absent" in data) this.#end(1013);
      else this.onmessage?.({ data: JSON.stringify(data) });
    };
  }

  /** @param {string} text */
  send(text) {
    this.port.postMessage(JSON.parse(text));
  }

  /** @param {number} code */
  close(code) {
    this.#end(code);
  }

  /** @param {number} code */
  #end(code) {
    if (this.readyState === WebSocket.CLOSED) return;
    this.readyState = WebSocket.CLOSED;
    this.port.postMessage(null);
    this.port.close();
    this.onclose?.({ code });
  }
}

/**
 * A channel by the extension; undefined where there is none, this site was not granted, or no host is installed for it.
 *
 * @param {AbortSignal} [signal]
 * @returns {Promise<Carried | undefined>}
 */
function carried(signal) {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    // Answered while it is asked: a page without the extension waits for nothing.
    if (document.dispatchEvent(new Event(PROTOCOL, { cancelable: true }))) return resolve(undefined);
    const { port1: ours, port2: theirs } = new MessageChannel();
    const done = new AbortController();
    /** @param {() => void} settle @param {boolean} isOpen */
    const settled = (settle, isOpen) => {
      done.abort();
      clearTimeout(timer);
      if (!isOpen) {
        ours.postMessage(null);
        ours.close();
      }
      settle();
    };
    /** @param {string} message @param {number} [code] */
    const fail = (message, code) =>
      settled(() => reject(new VitaleReaderError("unreachable", message, code === undefined ? {} : { code })), false);
    const timer = setTimeout(() => fail("the extension does not answer in time"), EXTENSION_LIMIT);
    signal?.addEventListener("abort", () => settled(() => reject(signal.reason), false), { signal: done.signal });
    ours.onmessage = ({ data }) => {
      if ("open" in data) settled(() => resolve(new Carried(ours)), true);
      else if ("close" in data) fail("no desk answers the extension", data.close);
      else settled(() => resolve(undefined), false);
    };
    window.postMessage(PROTOCOL, location.origin, [theirs]);
  });
}

// ── the browser ──

/** Storage and permissions of an embedded page are another's; and it could be laid under a click. */
function refuseFrames() {
  if (window.top !== window.self) throw new VitaleReaderError("embedded", "not in a frame of another page");
}

/**
 * Waits until a page that the browser prepared is shown: nobody has asked for what it does before.
 *
 * @param {AbortSignal} [signal]
 */
function shown(signal) {
  return new Promise((resolve, reject) => {
    if (!("prerendering" in document) || !document.prerendering) return resolve(undefined);
    if (signal?.aborted) return reject(signal.reason);
    document.addEventListener("prerenderingchange", resolve, { once: true });
    signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}

/**
 * @param {string} url
 * @param {number} limit in milliseconds
 * @param {string} permission
 * @param {AbortSignal} [signal]
 * @returns {Promise<WebSocket>}
 */
function opened(url, limit, permission, signal) {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const done = new AbortController();
    const blocked = () => new VitaleReaderError("blocked_by_csp", `the policy of this page does not name ${url}`);
    /** @type {WebSocket | undefined} */ let socket;
    /** @param {Error} error */
    const fail = (error) => {
      done.abort();
      clearTimeout(timer);
      if (socket !== undefined) {
        socket.onopen = socket.onclose = null;
        socket.close();
      }
      reject(error);
    };
    const late = permission === "prompt" ? "permission_prompt" : "unreachable";
    const timer = setTimeout(() => fail(new VitaleReaderError(late, "no answer in time")), limit);
    document.addEventListener("securitypolicyviolation", (event) => {
      if (event.blockedURI.startsWith(new URL(url).origin)) fail(blocked());
    }, { signal: done.signal });
    try {
      socket = new WebSocket(url, PROTOCOL);
    } catch {
      // Firefox throws at once what Chromium tells of by the event alone; the address itself is right.
      return fail(blocked());
    }
    const opening = socket;
    signal?.addEventListener("abort", () => fail(signal.reason), { signal: done.signal });
    opening.onopen = () => {
      done.abort();
      clearTimeout(timer);
      resolve(opening);
    };
    opening.onclose = async () => {
      const now = await localNetwork();
      const state = now === "denied" || now === "prompt" ? /** @type {const} */ (`permission_${now}`) : "unreachable";
      fail(new VitaleReaderError(state, "no desk answers, or none that knows this page"));
    };
  });
}

/** The browser's permission for this machine; "granted" where a browser has none, and to a page of this machine. */
async function localNetwork() {
  if (/^(127\.0\.0\.1|localhost|\[::1\])$/.test(location.hostname)) return "granted";
  for (const name of ["loopback-network", "local-network-access"]) {
    try {
      return (await navigator.permissions.query({ name: /** @type {any} */ (name) })).state;
    } catch {
      continue; // a name that this browser does not have
    }
  }
  return "granted";
}

/** @returns {Promise<Desk | undefined>} */
const kept = () => store("readonly", (desks) => desks.get("desk"));

/**
 * @template T
 * @param {IDBTransactionMode} mode
 * @param {(desks: IDBObjectStore) => IDBRequest<T>} act
 * @returns {Promise<T>}
 */
async function store(mode, act) {
  /** @template R @param {IDBRequest<R>} request @returns {Promise<R>} */
  const settled = (request) =>
    new Promise((resolve, reject) => {
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(new VitaleReaderError("embedded", "the browser refuses to keep a key here"));
    });
  const opening = indexedDB.open("vitale-reader", 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore("desks");
  const database = await settled(opening);
  try {
    return await settled(act(database.transaction("desks", mode).objectStore("desks")));
  } finally {
    database.close();
  }
}

/** @param {number} milliseconds @param {AbortSignal} [signal] */
function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const timer = setTimeout(resolve, milliseconds);
    signal?.addEventListener("abort", () => (clearTimeout(timer), reject(signal.reason)), { once: true });
  });
}

// ── bytes ──

const random = () => crypto.getRandomValues(new Uint8Array(32));

/** @param {ArrayBuffer | Uint8Array} data */
function b64u(data) {
  let text = "";
  for (const byte of new Uint8Array(data)) text += String.fromCharCode(byte);
  return btoa(text).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** @param {string} text */
function unb64u(text) {
  return Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (character) => character.charCodeAt(0));
}

/** @param {string} text @returns {Json} */
const parsed = (text) => JSON.parse(new TextDecoder().decode(unb64u(text)));

/** @param {Uint8Array[]} parts */
function joined(...parts) {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  parts.reduce((at, part) => (whole.set(part, at), at + part.length), 0);
  return whole;
}

/** @param {Uint8Array} part */
function length(part) {
  const four = new Uint8Array(4);
  new DataView(four.buffer).setUint32(0, part.length);
  return four;
}

/** @param {Uint8Array[]} parts each behind its length in 32 bits */
function prefixed(...parts) {
  return joined(...parts.flatMap((part) => [length(part), part]));
}

/** @param {Uint8Array[]} parts */
const sha256 = async (...parts) => new Uint8Array(await crypto.subtle.digest("SHA-256", joined(...parts)));

/** @param {JsonWebKey} jwk @returns {Point} what a public key is, and nothing else */
const point = ({ kty, crv, x, y }) => ({ kty: kty ?? "", crv: crv ?? "", x: x ?? "", y: y ?? "" });

/** @param {Point} jwk */
const thumbprint = async ({ kty, crv, x, y }) => b64u(await sha256(utf8.encode(JSON.stringify({ crv, kty, x, y }))));

/** @param {string} via @param {number} number of a frame */
function sealing(via, number) {
  const iv = new Uint8Array(12);
  const view = new DataView(iv.buffer);
  view.setUint32(4, Math.floor(number / 2 ** 32));
  view.setUint32(8, number % 2 ** 32);
  return { name: "AES-GCM", iv, additionalData: joined(utf8.encode(via), iv) };
}

/** @param {string} site @param {Point} page @param {JsonWebKey} station @param {Uint8Array} nonceP @param {Uint8Array} nonceD */
async function sixDigits(site, page, station, nonceP, nonceD) {
  const texts = ["vr-pair-1", site, await thumbprint(page), await thumbprint(point(station))];
  const hashed = await sha256(prefixed(...texts.map((text) => utf8.encode(text)), nonceP, nonceD));
  const number = hashed.slice(0, 6).reduce((value, byte) => value * 256 + byte, 0);
  return String(number % 1e6).padStart(6, "0");
}
