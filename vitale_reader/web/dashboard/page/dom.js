// Elements, made of text and of other elements: nothing that came from elsewhere is ever read as HTML.

const SVG = "http://www.w3.org/2000/svg";

/** Makes an element: `on…` are listeners, `true` an attribute without a value, null and false are left out. */
export function h(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value === true ? "" : String(value));
  }
  made.append(...there(children));
  return made;
}

const there = (children) => children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);

// Strokes on a field of 24.
const DRAWN = {
  home: "M4 11.5 12 4l8 7.5M6.5 10v9.5h11V10M10 19.5v-5h4v5",
  show: "M3.5 6.5a2 2 0 0 1 2-2h13a2 2 0 0 1 2 2v8a2 2 0 0 1-2 2h-13a2 2 0 0 1-2-2zM9 20h6M12 16.5V20",
  people: "M9 11.5a3.25 3.25 0 1 0 0-6.5 3.25 3.25 0 0 0 0 6.5zM3 19.5c.4-3.2 2.7-5 6-5s5.6 1.8 6 5M16 5.4a3 3 0 0 1 0 5.8M17.5 14.8c2 .6 3.2 2.2 3.5 4.7",
  pulse: "M3 12.5h4l2.5-7 4.5 13 2.5-6h4.5",
  trail: "M7 3.5h7l4 4v13H7zM14 3.5v4h4M10 12h5M10 15.5h5",
  gear: "M4 7h9M17 7h3M4 17h3M11 17h9M4 12h3M11 12h9M15 5v4M9 10v4M9 15v4",
  camera: "M4 8h3.5l1.5-2.5h6L16.5 8H20v11H4zM12 16.5a3.25 3.25 0 1 0 0-6.5 3.25 3.25 0 0 0 0 6.5z",
  eye: "M2.5 12S6 5.5 12 5.5 21.5 12 21.5 12 18 18.5 12 18.5 2.5 12 2.5 12zM12 15a3 3 0 1 0 0-6 3 3 0 0 0 0 6z",
  play: "M8 4.5v15l11.5-7.5z",
  card: "M3 7.5a2 2 0 0 1 2-2h14a2 2 0 0 1 2 2v9a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2zM6.5 10h4v4h-4zM14 14h4",
  phone: "M7.5 4.5a2 2 0 0 1 2-2h5a2 2 0 0 1 2 2v15a2 2 0 0 1-2 2h-5a2 2 0 0 1-2-2zM11 18.5h2",
  code: "M4 4h6v6H4zM14 4h6v6h-6zM4 14h6v6H4zM14 14h2.5v2.5H14zM17.5 17.5H20V20h-2.5z",
  check: "M5 12.5l4.5 4.5L19 7.5",
  alert: "M12 4 2.8 19.5h18.4zM12 10v4.5M12 17v.5",
  info: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM12 11v5.5M12 7.5v.5",
  cross: "M6 6l12 12M18 6 6 18",
  smile: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM8.5 14.5c1.8 2.2 5.2 2.2 7 0M9 9.4v.6M15 9.4v.6",
  wait: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM12 7v5l3.5 2",
};

/** An element of a drawing. */
export function drawn(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

/** A small picture that says nothing: the words beside it do. */
export function icon(name, size = "1.25em") {
  const made = drawn("svg", { viewBox: "0 0 24 24", width: size, height: size, "aria-hidden": "true", class: "icon" });
  made.append(drawn("path", { d: DRAWN[name] }));
  return made;
}

/** A state in words, with its colour and its picture. */
export function pill(kind, words) {
  const picture = { good: "check", bad: "alert", odd: "info", live: "wait" }[kind];
  return h("span", { class: `pill ${kind}` }, picture && icon(picture, "1em"), words);
}

// Letters that run from right to left, and marks that make others do so.
const TURNED = /[\u0590-\u08ff\u200f\u202a-\u202e\u2066-\u2069\ufb1d-\ufdff\ufe70-\ufeff\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u;

/** What somebody else wrote, within a sentence of ours: what runs the other way in it turns nothing around it. */
export function apart(text) {
  return TURNED.test(text) ? `\u2068${text.replaceAll(/[\u202a-\u202e\u2066-\u2069]/g, "")}\u2069` : text;
}

/** Says something to whoever listens and does not see. */
export function say(words) {
  document.getElementById("said").textContent = words;
}

/** A text of the catalogue: what stands between backticks is typed, not read. */
export function prose(text) {
  return text.split("`").map((part, at) => (at % 2 ? h("code", {}, part) : part));
}

/** Words while something is waited for. */
export const waits = (...words) => h("p", { class: "large live-text" }, icon("wait"), ...words);

/** What sends a form. */
export const submit = (words, disabled = false) => h("button", { type: "submit", class: "main", disabled }, h("span", {}, words));

/** What may be chosen, several at a time, each in words of its own; the first is chosen. */
export const ticks = (scopes, t) =>
  scopes.map((value) => h("label", { class: "tick" }, h("input", { type: "checkbox", value, checked: value === "identity" }), h("span", {}, t(`scope.${value}`))));

/** Those that are chosen. */
export const ticked = (boxes) => boxes.map((box) => box.firstChild).filter((box) => box.checked).map((box) => box.value);

/** What a card is about: a picture, a title and what is known besides. */
export const headed = (picture, title, below) =>
  h("div", { class: "row" }, h("span", { class: "medallion" }, icon(picture, "1.6rem")), h("div", { class: "grow" }, title, h("small", {}, below)));

/** Names and what they stand for. */
export const terms = (lines) => h("dl", {}, lines.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));

/** What a table holds and those within it, by names that lead there; `within` says which are tables. */
export function* flat(table, isTable, path = "") {
  for (const [key, value] of Object.entries(table)) {
    if (isTable(value)) yield* flat(value, isTable, `${path}${key}.`);
    else yield [`${path}${key}`, value];
  }
}

/** A box with a picture before what it says; `more` are attributes of its own. */
export function note(kind, picture, words, more = {}) {
  return h("div", { class: `note ${kind}`, ...more }, icon(picture), h("div", {}, words));
}

/** A large box that says how something is. */
export function state(kind, picture, ...words) {
  return h("div", { class: `state ${kind}` }, icon(picture, "2rem"), h("div", {}, words));
}

/** A table that can be scrolled by keys; the first cell of each row is what it is about. */
export function table(name, heads, rows) {
  const row = ([first, ...others]) => h("tr", {}, h("th", { scope: "row" }, first), others.map((cell) => h("td", {}, cell)));
  const head = h("tr", {}, heads.map((each) => h("th", { scope: "col" }, each)));
  return h("div", { class: "table", role: "group", tabindex: "0", ...name }, h("table", {}, h("thead", {}, head), h("tbody", {}, rows.map(row))));
}

/** A part of a view under the heading that has this id. */
export const region = (id, kind = null) => h("section", { class: kind, "aria-labelledby": id });

/** Replaces what an element holds, and leaves the keyboard where it was if that is still there. */
export function fill(element, ...children) {
  const at = element.contains(document.activeElement) ? document.activeElement.dataset.key : undefined;
  element.replaceChildren(...there(children));
  if (at) element.querySelector(`[data-key="${CSS.escape(at)}"]`)?.focus();
}

/** A button that does one thing at a time. */
export function button(words, act, { kind = "", picture = null, key = null } = {}) {
  const made = h("button", { type: "button", class: kind, "data-key": key ?? words }, picture && icon(picture), h("span", {}, words));
  made.addEventListener("click", async () => {
    if (made.getAttribute("aria-busy") === "true") return;
    made.setAttribute("aria-busy", "true");
    try {
      await act(made);
    } finally {
      made.removeAttribute("aria-busy");
    }
  });
  return made;
}

/** Asks before something is done; whether it may be. */
export function confirmed(title, words, yes, no) {
  return new Promise((answer) => {
    const box = h("dialog", { "aria-labelledby": "asked" });
    const close = (said) => {
      box.close();
      box.remove();
      answer(said);
    };
    box.addEventListener("cancel", (event) => {
      event.preventDefault();
      close(false);
    });
    box.append(
      h("h2", { id: "asked" }, title),
      h("p", {}, words),
      h("div", { class: "row end" }, button(no, () => close(false)), button(yes, () => close(true), { kind: "danger" })),
    );
    document.body.append(box);
    box.showModal();
  });
}

/** Does something; what goes wrong stands in `place`. */
export async function tried(place, act) {
  place.replaceChildren();
  try {
    await act();
  } catch (error) {
    fill(place, problem(error));
  }
}

/** Says in `place` that something is looked into, and then what was found, if anybody still looks. */
export const looked = (place, words, call, told) =>
  tried(place, async () => {
    fill(place, waits(words));
    const found = await call();
    if (place.isConnected) await told(found);
  });

/** What went wrong, in the words of the catalogue. */
export function problem(error) {
  return note("bad", "alert", [h("strong", {}, error.message), error.remedy ? h("p", {}, prose(error.remedy)) : null], { role: "alert" });
}
