// The dashboard: lets its reader in, keeps what the daemon tells, and shows one view of it.

import { Connection } from "/connection.js";
import { apart, button, fill, h, icon, note, pill, say, submit } from "/dom.js";
import { overview } from "/overview.js";
import { present } from "/present.js";
import { once } from "/once.js";
import { clients } from "/clients.js";
import { camera } from "/camera.js";
import { doctor } from "/doctor.js";
import { trail } from "/trail.js";
import { settings } from "/settings.js";
import { play } from "/play.js";

const VIEWS = { overview, present, once, clients, camera, doctor, trail, settings, play };
const PICTURES = { overview: "home", present: "show", clients: "people", camera: "camera", doctor: "pulse", trail: "trail", settings: "gear", once: "eye", play: "play" };
const app = document.getElementById("app");

let words = {};
let language = "fr";
let view = null;
let state = "opening";
let main = null;

// ── words ──

function t(key, values = {}) {
  const found = words[key] ?? key;
  return found.replace(/\{(\w+)\}/g, (_, name) => apart(String(values[name] ?? "")));
}

/** The word for one, or for several. */
function count(key, number) {
  const one = language === "fr" ? number < 2 : number === 1;
  return t(`${key}.${one ? "one" : "many"}`, { n: new Intl.NumberFormat(language).format(number) });
}

function reason(name, variant) {
  return words.reasons[`${name}.${variant}`] ?? words.reasons[name] ?? name;
}

/** A word that may not be there. */
const named = (key) => words[key];

/** The name of a client; those that were never paired have none. */
const client = (name) => named(`client.${name}`) ?? name;

const medium = (name) => named(`medium.${name}`) ?? name;

function list(names) {
  return new Intl.ListFormat(language, { type: "disjunction" }).format(names);
}

function time(seconds, options = { dateStyle: "short", timeStyle: "short" }) {
  // Days before months, in both.
  return new Intl.DateTimeFormat(language === "fr" ? "fr" : "en-GB", options).format(new Date(seconds * 1000));
}

async function speak(chosen) {
  words = await (await fetch(`/words.${chosen}.json`)).json();
  language = chosen;
  document.documentElement.lang = chosen;
}

// ── what the daemon tells ──

const NOTHING = { waiting: [], drivers: [], last: null };
const desk = {
  station: null,
  info: null,
  readers: new Map(),
  now: NOTHING,
  t,
  count,
  client,
  reason,
  medium,
  named,
  list,
  time,
  pill,
  get language() {
    return language;
  },
  call: (method, params) => connection.call(method, params),
  /** The patient screen is shown, or is not any more: then it has to be known whether the rest may be seen still. */
  shows(is) {
    connection.shown = is;
    if (!is) connection.call("session.ping").catch(() => {});
  },
  refresh: () => view?.update?.(),
  go: (name) => {
    location.hash = name;
  },
  /** Readers whose media somebody waits for, and who that is. */
  waitingFor(reader) {
    return desk.now.waiting.filter(
      (each) => each.media.some((one) => reader.media.includes(one)) && (!each.readers?.length || each.readers.includes(reader.id)),
    );
  },
  /** Those who wait for a presentation, a few of them. */
  whoWaits() {
    const said = ({ client: name, media }) => h("li", {}, t("hero.waits", { client: client(name), media: list(media.map(medium)) }));
    return desk.now.waiting.length ? h("ul", { class: "plain" }, desk.now.waiting.slice(0, 4).map(said)) : null;
  },
  /** What needs attention, worst first: words, remedy, and what can be done about it. */
  attention() {
    const found = [];
    for (const driver of desk.now.drivers) {
      if (driver.state === "ready" || (driver.state === "starting" && !driver.reason)) continue;
      found.push({
        title: t("attention.driver", { name: driver.name, what: driver.reason ? reason(driver.reason, driver.variant) : t(`driver.${driver.state}`) }),
        driver: driver.state === "stopped" ? null : driver.name,
      });
    }
    for (const reader of desk.readers.values()) {
      if (reader.error) found.push({ title: t("attention.reader", { name: reader.name, what: reason(reader.error) }), driver: reader.driver });
    }
    const resolver = desk.info?.resolver;
    if (resolver && !["none", "ready"].includes(resolver.state))
      found.push({ title: t("attention.resolver", { what: resolver.reason ? reason(resolver.reason, resolver.variant) : resolver.state }) });
    if (!desk.readers.size && !found.length) found.push({ title: t("attention.none") });
    return found;
  },
  async restart(name) {
    await desk.call("drivers.restart", { name });
    say(t("restart.done", { name }));
  },
};

const connection = new Connection("", {
  words: t,
  async open(answer) {
    desk.station = answer.station;
    const [info, watched, here] = await Promise.all([desk.call("station.info"), desk.call("readers.watch"), desk.call("desk.watch")]);
    desk.info = info;
    desk.readers = new Map(watched.readers.map((reader) => [reader.id, reader]));
    desk.now = { ...NOTHING, ...here.desk };
    state = "open";
    frame();
  },
  event(name, params) {
    if (name.startsWith("reader.")) {
      const reader = params.reader;
      if (name === "reader.removed") desk.readers.delete(reader.id);
      else desk.readers.set(reader.id, reader);
      if (name !== "reader.changed") say(t(name === "reader.added" ? "said.added" : "said.removed", { name: reader.name }));
    } else if (name === "desk.changed") {
      desk.now = { ...NOTHING, ...params };
    }
    view?.event?.(name, params);
    desk.refresh();
  },
  lost() {
    if (state === "open") say(t("lost.title"));
    state = "lost";
    document.body.classList.add("lost");
    view?.lost?.();
  },
  ended() {
    sessionStorage.removeItem("bearer");
    door(t("door.ended"), { over: true });
  },
});

// ── what is shown ──

function wanted() {
  const name = location.hash.slice(1);
  return views().includes(name) ? name : "overview";
}

/** The views that there are: nothing is played but in simulated mode. */
function views() {
  return Object.keys(VIEWS).filter((name) => name !== "play" || desk.station?.mode === "simulated");
}

/** The frame around the views: what can be looked at, and in which language. */
function frame() {
  document.body.classList.remove("lost");
  const nav = h("nav", { "aria-label": t("nav.label") }, h("ul", {}, views().map(entry)));
  main = h("main", { id: "main", tabindex: "-1" });
  const head = h(
    "header",
    {},
    h("a", { class: "skip", href: "#main", onclick: (event) => (event.preventDefault(), main.focus()) }, t("skip")),
    h("div", { class: "brand" }, icon("card", "1.6em"), h("span", {}, h("strong", {}, desk.station.name), h("small", {}, t("door.title")))),
    h("span", { class: `pill ${desk.station.mode === "production" ? "good" : "odd"}` }, t(`mode.${desk.station.mode}`)),
    h("div", { class: "lost-note" }, icon("wait"), t("lost.short")),
    button(language === "fr" ? "English" : "Français", changeLanguage, { kind: "quiet", key: "language" }),
  );
  head.lastChild.lang = language === "fr" ? "en" : "fr";
  fill(app, head, nav, main);
  show(wanted(), { focus: false });
}

function entry(name) {
  return h("li", {}, h("a", { href: `#${name}`, "data-view": name }, icon(PICTURES[name]), h("span", {}, t(`nav.${name}`))));
}

function show(name, { focus = true } = {}) {
  view?.leave?.();
  document.title = `${t(`nav.${name}`)} · ${apart(desk.station.name)}`;
  for (const link of app.querySelectorAll("nav a")) {
    if (link.dataset.view === name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const title = h("h1", { tabindex: "-1" }, t(`nav.${name}`));
  const body = h("div", { class: "body" });
  fill(main, title, body);
  view = VIEWS[name](desk, body);
  view?.update?.();
  if (focus) title.focus();
  scrollTo(0, 0);
}

async function changeLanguage() {
  await speak(language === "fr" ? "en" : "fr");
  sessionStorage.setItem("language", language);
  connection.language = language;
  frame();
  connection.again();
  document.querySelector('[data-key="language"]')?.focus();
}

/** The door, for whoever has no bearer: the code that the command shows is typed here, unless this page is over. */
function door(why, { over = false } = {}) {
  view?.leave?.();
  view = null;
  state = "door";
  document.body.className = "";
  document.title = `${t("door.title")} · vitale-reader`;
  const code = h("input", {
    id: "code",
    name: "code",
    required: true,
    autocomplete: "off",
    autocapitalize: "characters",
    spellcheck: "false",
    pattern: "[A-Za-z]{4}[ \\-]?[A-Za-z]{4}",
    "aria-describedby": "how",
  });
  const title = h("h1", { tabindex: "-1" }, t("door.title"));
  fill(
    app,
    h(
      "main",
      { id: "main", class: "door" },
      icon("card", "3.5em"),
      title,
      why ? note("odd", "info", why, { role: "status" }) : null,
      h("p", { id: "how" }, t(over ? "door.again" : "door.how"), " ", h("code", {}, "vitale-reader dashboard")),
      over ? null : h("form", { method: "post", action: "/enter" }, h("label", { for: "code" }, t("door.code")), code, submit(t("door.enter"))),
    ),
  );
  (over ? title : code).focus();
}

async function begin() {
  const told = document.querySelector('meta[name="bearer"]');
  if (told) {
    sessionStorage.setItem("bearer", told.content);
    told.remove();
  }
  const refused = document.querySelector('meta[name="refused"]') !== null;
  if (location.pathname !== "/") history.replaceState(null, "", "/");
  const preferred = navigator.languages.find((each) => /^(fr|en)\b/.test(each)) ?? "fr";
  await speak(sessionStorage.getItem("language") ?? preferred.slice(0, 2));
  connection.bearer = sessionStorage.getItem("bearer") ?? "";
  connection.language = language;
  if (!connection.bearer) {
    door(refused ? t("door.refused") : "");
    return;
  }
  addEventListener("hashchange", () => {
    if (state !== "door" && main && views().includes(location.hash.slice(1))) show(wanted());
  });
  connection.open();
}

begin();
