// What the next card, phone or code says: shown once to whoever asks for it, for a minute at most, and kept nowhere.

import { button, fill, flat, h, problem, say, terms, ticked, ticks, waits } from "/dom.js";

// Seconds.
const SHOWN = 60;
const SCOPES = ["identity", "nir", "dependants", "rights"];

export function once(desk, body) {
  const { t } = desk;
  let request = null;
  let clock = null;
  let step = null;
  const screen = h("section", { class: "panel", "aria-live": "polite" });
  body.append(h("p", { class: "lead" }, t("once.why")), screen);

  function offer(...above) {
    clearInterval(clock);
    request = null;
    const boxes = ticks(SCOPES, t);
    const read = button(t("once.read"), () => wait(ticked(boxes)), { kind: "main", picture: "card", key: "read" });
    const fields = h("fieldset", { oninput: () => (read.disabled = !ticked(boxes).length) }, h("legend", {}, t("once.scopes")), boxes);
    fill(screen, ...above, fields, read);
  }

  async function wait(scopes) {
    const asked = desk.call("reading.once", { scopes });
    request = asked.request;
    const mine = request;
    step = h("p", {}, t("once.waiting.why"));
    fill(screen, waits(t("once.waiting")), step, button(t("no"), stop, { key: "read" }));
    say(t("once.waiting"));
    try {
      const told = await asked;
      if (mine === request) shown(told);
    } catch (error) {
      if (mine === request) offer(error.reason === "cancelled" ? null : problem(error));
    }
  }

  function stop() {
    const ended = request;
    offer();
    if (ended !== null) desk.call("presentation.cancel", { request: ended }).catch(() => {});
  }

  function shown(told) {
    request = null;
    // By the clock: timers of a window that is covered come late.
    const until = Date.now() + SHOWN * 1000;
    const seconds = h("span", { class: "mono" }, String(SHOWN));
    clock = setInterval(() => {
      const left = Math.round((until - Date.now()) / 1000);
      seconds.textContent = String(left);
      if (left <= 0) stop();
    }, 1000);
    const people = told.record.beneficiaires ?? [];
    fill(
      screen,
      h("h2", {}, t("once.title", { medium: desk.medium(told.medium) })),
      h("div", { class: "row" }, desk.pill(told.proof.verified ? "good" : "odd", t(told.proof.verified ? "once.verified" : "once.unverified")), told.origin === "simulated" ? desk.pill("odd", t("reader.simulated")) : null),
      told.delegate ? h("p", {}, t("once.delegate", { name: told.delegate })) : null,
      people.map((person, at) => part(at === (told.record.porteur ?? 0) ? t("once.holder") : t("once.dependant"), person)),
      told.record.assure ? part(t("once.insured"), told.record.assure) : null,
      people.length || told.record.assure ? null : h("p", {}, t("once.nothing")),
      h("div", { class: "row" }, h("p", { "aria-hidden": "true" }, t("once.left"), " ", seconds), button(t("once.clear"), stop, { kind: "main", key: "read" })),
    );
  }

  function part(title, values) {
    const isTold = ([key, value]) => value !== null && value !== "" && !(key === "date_naissance" && values.date_naissance_iso);
    const lines = [...flat(values, (each) => each !== null && typeof each === "object")].filter(isTold);
    return lines.length ? h("div", { class: "told" }, h("h3", {}, title), terms(lines.map(([key, value]) => [desk.named(`record.${key}`) ?? h("code", {}, key), written(key, value)]))) : null;
  }

  /** A date as people here write it; all else, and a date of no calendar, as it stands. */
  function written(key, value) {
    const parts = /(^|\.)date_/.test(key) ? /^(\d{4})-?(\d{2})-?(\d{2})$/.exec(value) : null;
    const date = parts && new Date(`${parts.slice(1).join("-")}T12:00:00`);
    return date?.getDate() === Number(parts?.[3]) ? desk.time(date.getTime() / 1000, { dateStyle: "long" }) : String(value);
  }

  /** Whoever turns to another window has seen enough; whoever waits for a card may look elsewhere meanwhile. */
  const covered = () => document.visibilityState === "hidden" && screen.querySelector(".told") && stop();
  addEventListener("pagehide", stop);
  document.addEventListener("visibilitychange", covered);
  offer();
  return {
    event(name, params) {
      if (name === "presentation.progress" && params.request === request) fill(step, params.message);
    },
    lost: stop,
    leave() {
      removeEventListener("pagehide", stop);
      document.removeEventListener("visibilitychange", covered);
      stop();
      screen.replaceChildren();
    },
  };
}
