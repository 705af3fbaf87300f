// A view for whoever stands at the counter: one sentence, one picture, nothing about anybody. It is shown once a person
// has said so, and lasts while it can be seen; after half an hour it leads back to the door and not to the dashboard.

import { button, fill, h, icon } from "/dom.js";

// Seconds for which the outcome stays.
const STAYS = 6;
const FOR_CARD = ["vitale-card", "cps-card"];
const FOR_PHONE = ["apcv-nfc"];
// Milliseconds between two words to the daemon that it is shown.
const HEARD = 60_000;
let agreed = false;

export function present(desk, body) {
  const { t } = desk;
  let timer = null;
  let beat = null;
  const seen = desk.now.last?.at ?? 0;
  const screen = h("section", { class: "present", "aria-live": "polite" });
  const away = () => desk.go("overview");
  const escape = (event) => event.key === "Escape" && !document.fullscreenElement && away();
  const isShown = () => document.visibilityState === "visible" && desk.call("desk.show").catch(() => {});
  const fullscreen = () => (document.fullscreenElement ? document.exitFullscreen() : document.documentElement.requestFullscreen());

  function ask() {
    const begin = button(t("present.show"), start, { kind: "main", picture: "show" });
    body.append(h("section", { class: "panel" }, h("p", {}, t("present.ask")), h("p", {}, t("present.ask.why")), begin));
  }

  function start() {
    agreed = true;
    desk.shows(true);
    document.body.classList.add("patient");
    addEventListener("keydown", escape);
    document.addEventListener("visibilitychange", isShown);
    beat = setInterval(isShown, HEARD);
    isShown();
    fill(
      body,
      screen,
      h("div", { class: "row end" }, button(t("present.full"), fullscreen, { kind: "quiet" }), button(t("present.leave"), away, { kind: "quiet", picture: "cross" })),
    );
    update();
  }

  /** How it stands, its pictures, and what is said: two lines, the second that of the first unless it is named. */
  function said() {
    const { last, waiting } = desk.now;
    const age = last ? Date.now() / 1000 - last.at : Infinity;
    if (last && last.at > seen && last.medium && age < STAYS) {
      clearTimeout(timer);
      timer = setTimeout(update, (STAYS - age) * 1000 + 50);
      return last.reason
        ? ["bad", ["alert"], "present.failed"]
        : ["good", ["check"], "present.thanks", FOR_CARD.includes(last.medium) ? "present.take" : "present.done"];
    }
    if (!waiting.length) return ["none", ["smile"], "present.welcome"];
    const media = new Set(waiting.flatMap((each) => each.media));
    const lies = [...desk.readers.values()].some((reader) => reader.state === "busy" && desk.waitingFor(reader).length);
    if (lies) return ["live", ["wait"], "present.reading"];
    const wanted = {
      card: FOR_CARD.some((each) => media.has(each)),
      phone: FOR_PHONE.some((each) => media.has(each)),
      code: [...media].some((each) => !FOR_CARD.includes(each) && !FOR_PHONE.includes(each)),
    };
    const words = Object.entries(wanted).filter(([, is]) => is).map(([name]) => name);
    const key = wanted.card && (wanted.phone || wanted.code) ? "either" : words[0];
    return ["live", words, `present.${key}`];
  }

  function update() {
    const [kind, pictures, words, below = `${words}.why`] = said();
    screen.className = `present ${kind}`;
    fill(screen, h("div", { class: "pictures" }, pictures.map((each) => icon(each, "1em"))), h("p", { class: "huge" }, t(words)), h("p", { class: "under" }, t(below)));
  }

  if (agreed) start();
  else ask();
  return {
    update,
    leave() {
      clearTimeout(timer);
      clearInterval(beat);
      removeEventListener("keydown", escape);
      document.removeEventListener("visibilitychange", isShown);
      document.body.classList.remove("patient");
      if (location.hash === "#present") return;
      if (agreed) desk.shows(false);
      agreed = false;
      if (document.fullscreenElement) document.exitFullscreen();
    },
  };
}
