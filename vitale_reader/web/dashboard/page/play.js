// The simulators of a station in simulated mode, played with the mouse: a program elsewhere holds them.

import { button, fill, h, headed, note, say, tried } from "/dom.js";

const PICTURES = { card: "card", phone: "phone", screen: "camera", scan: "code" };

export function play(desk, body) {
  const { t } = desk;
  const waits = h("section");
  const trouble = h("div");
  const places = h("section");
  body.append(h("p", { class: "lead" }, t("play.why")), waits, trouble, places);

  const acts = (place, thing) => () =>
    tried(trouble, async () => {
      await desk.call("sim.play", { place, thing });
      say(t(thing ? "play.done" : "play.taken", { thing }));
    });

  function place(each) {
    const picks = each.things.map((thing) => {
      const made = button(thing, acts(each.place, thing), { kind: "small", key: `${each.place} ${thing}` });
      if (each.kind !== "scan") made.setAttribute("aria-pressed", String(thing === each.holds));
      return made;
    });
    return h(
      "li",
      { class: "card" },
      headed(PICTURES[each.kind], h("h2", {}, t(`play.${each.kind}`)), t(`play.${each.kind}.why`)),
      h("div", { class: "row", role: "group", "aria-label": t(`play.${each.kind}`) }, picks),
      each.holds ? button(t(`play.${each.kind}.take`), acts(each.place), { key: `${each.place} take` }) : null,
    );
  }

  return {
    update() {
      const waiting = desk.now.waiting;
      const found = desk.now.simulators ?? [];
      fill(
        waits,
        h("div", { class: "row" }, desk.pill(waiting.length ? "live" : "none", t(waiting.length ? "hero.waiting" : "hero.idle"))),
        desk.whoWaits() ?? h("p", { class: "quiet" }, t("play.idle"), " ", h("code", {}, "vitale-reader read")),
      );
      fill(
        places,
        found.length
          ? h("ul", { class: "cards wide" }, found.map(place))
          : note("", "info", [h("strong", {}, t("play.none")), h("p", {}, t("play.none.why"), " ", h("code", {}, "vitale-reader demo --dashboard"))]),
      );
    },
  };
}
