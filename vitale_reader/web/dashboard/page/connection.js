// The line to the daemon: JSON-RPC over one WebSocket of this page's own origin, opened with the bearer.

const PROTOCOL = "vitale-reader.1";
// Before each attempt to come back. Behind the last nobody listens any more: a daemon that starts again does so elsewhere.
const PAUSES = [250, 500, 1_000, 2_000, 4_000];
// A person is there: the daemon hears so at most once a minute, and ends what nobody uses.
const PRESENCE = 60_000;

export class DeskError extends Error {
  constructor(error) {
    super(error.message);
    this.data = error.data ?? {};
    this.reason = this.data.reason ?? "";
    this.remedy = this.data.remedy ?? "";
  }
}

export class Connection {
  #socket = null;
  #last = 0;
  #waiting = new Map();
  #closed = false;
  #attempts = 0;
  #present = 0;

  /** `on.open(answer)`, `on.event(name, params)`, `on.lost()`, `on.ended()`. */
  constructor(bearer, on) {
    this.bearer = bearer;
    this.on = on;
    this.language = "fr";
    // The patient screen is shown: whoever touches it is a patient.
    this.shown = false;
    for (const kind of ["pointerdown", "keydown"]) addEventListener(kind, () => this.#isPresent(), { passive: true });
    addEventListener("pagehide", () => this.close());
    addEventListener("pageshow", (event) => {
      if (event.persisted) this.open();
    });
  }

  open() {
    this.#closed = false;
    const socket = new WebSocket(`ws://${location.host}/v1`, PROTOCOL);
    this.#socket = socket;
    socket.onopen = async () => {
      const opening = { protocol: [1], client: { name: "dashboard" }, credential: this.bearer, language: this.language };
      try {
        const answer = await this.call("session.open", opening);
        this.#attempts = 0;
        this.on.open(answer);
      } catch {
        socket.close();
      }
    };
    socket.onmessage = (message) => this.#take(JSON.parse(message.data));
    socket.onclose = (event) => this.#isLost(socket, event.code);
  }

  /** Opens another session, in another language. */
  again() {
    this.close();
    this.open();
  }

  close() {
    this.#closed = true;
    this.#socket?.close();
    this.#forget();
  }

  /** Calls a method; the promise has its id as `request`, to cancel it by. */
  call(method, params = {}) {
    const id = (this.#last += 1);
    const called = new Promise((answer, refuse) => {
      if (this.#socket?.readyState !== WebSocket.OPEN) {
        refuse(this.#away());
        return;
      }
      this.#waiting.set(id, { answer, refuse });
      this.#socket.send(JSON.stringify({ jsonrpc: "2.0", id, method, params }));
    });
    return Object.assign(called, { request: id });
  }

  #take(message) {
    if ("method" in message) {
      this.on.event(message.method, message.params);
      return;
    }
    const waiting = this.#waiting.get(message.id);
    this.#waiting.delete(message.id);
    if ("error" in message) {
      const error = new DeskError(message.error);
      waiting?.refuse(error);
      // The bearer is good no more, or for the patient screen alone.
      if (error.reason === "not_authenticated" && this.#attempts === 0) this.#end();
    } else waiting?.answer(message.result);
  }

  #isLost(socket, code) {
    if (socket !== this.#socket) return;
    this.#forget();
    if (this.#closed) return;
    // 1008: the bearer is good no more; 4001: the session was ended.
    if (code === 1008 || code === 4001 || this.#attempts === PAUSES.length) {
      this.#end();
      return;
    }
    this.on.lost();
    const pause = PAUSES[this.#attempts];
    this.#attempts += 1;
    setTimeout(() => {
      if (!this.#closed && socket === this.#socket) this.open();
    }, pause * (0.8 + 0.4 * Math.random()));
  }

  #end() {
    this.close();
    this.on.ended();
  }

  #forget() {
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { refuse } of waiting) refuse(this.#away());
  }

  #away() {
    return new DeskError({ message: this.on.words("lost.title"), data: { remedy: this.on.words("lost.wait") } });
  }

  #isPresent() {
    if (this.shown || Date.now() - this.#present < PRESENCE || this.#socket?.readyState !== WebSocket.OPEN) return;
    this.#present = Date.now();
    this.call("session.ping").catch(() => {});
  }
}
