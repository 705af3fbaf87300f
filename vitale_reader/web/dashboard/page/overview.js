// What there is at the desk, what it waits for, and what needs a person.

import { apart, button, confirmed, fill, h, headed, icon, region, say, state, table, tried } from "/dom.js";

const PICTURES = { "vitale-card": "card", "cps-card": "card", "apcv-nfc": "phone" };
const large = (words) => h("p", { class: "large" }, words);
const STATES = { empty: "none", present: "good", busy: "live", leased: "odd", unavailable: "bad" };

export function overview(desk, body) {
  const { t } = desk;
  const top = h("section", { class: "hero" });
  const [attention, readers, drivers] = ["attention", "readers", "drivers"].map((id) => region(id));
  const trouble = h("div");
  body.append(top, trouble, attention, readers, drivers);

  const restart = (name) => () => tried(trouble, () => desk.restart(name));

  function hero() {
    const found = desk.attention();
    const waiting = desk.now.waiting;
    fill(
      top,
      state(found.length ? "bad" : "good", found.length ? "alert" : "check", large(found.length ? desk.count("hero.attention", found.length) : t("hero.good")), h("p", {}, since())),
      waiting.length ? state("live", "wait", large(t("hero.waiting")), desk.whoWaits()) : state("none", "info", large(t("hero.idle")), h("p", {}, t("hero.idle.why"))),
      state("none", "card", last()),
    );
  }

  function since() {
    const started = Date.now() / 1000 - (desk.info?.uptime ?? 0);
    return t("hero.since", { version: desk.station.version, time: desk.time(desk.begun ?? (desk.begun = started)) });
  }

  function last() {
    const { last } = desk.now;
    if (!last) return [large(t("last.none")), h("p", {}, t("last.none.why"))];
    const about = { medium: last.medium ? desk.medium(last.medium) : t("last.nothing"), client: desk.client(last.client), time: desk.time(last.at, { timeStyle: "medium" }) };
    return [large(last.reason ? desk.reason(last.reason) : t("last.good")), h("p", {}, t("last.about", about))];
  }

  function needs() {
    const found = desk.attention();
    attention.hidden = !found.length;
    fill(
      attention,
      h("h2", { id: "attention" }, t("attention.title")),
      h(
        "ul",
        { class: "cards" },
        found.map((each) =>
          h(
            "li",
            { class: "card bad" },
            h("p", { class: "strong" }, icon("alert"), each.title),
            h(
              "div",
              { class: "row" },
              each.driver ? button(t("restart.do"), restart(each.driver), { key: `restart ${each.driver}` }) : null,
              button(t("attention.doctor"), () => desk.go("doctor"), { kind: "quiet", key: `doctor ${each.title}` }),
            ),
          ),
        ),
      ),
    );
  }

  function reader(each) {
    const waits = desk.waitingFor(each).length > 0;
    const kind = each.media.map((one) => PICTURES[one]).find(Boolean) ?? (each.driver === "camera" ? "camera" : "code");
    const words = each.medium && each.state === "present" ? t(`content.${each.medium}`) : t(`reader.${each.state}`);
    return h(
      "li",
      { class: `card ${waits ? "waits" : ""}` },
      headed(kind, h("h3", {}, each.name), [each.driver, each.simulated && t("reader.simulated"), each.station?.name].filter(Boolean).map(apart).join(" · ")),
      h("div", { class: "row" }, desk.pill(each.error ? "bad" : STATES[each.state], each.error ? desk.reason(each.error) : words), waits ? desk.pill("live", t("reader.waits")) : null),
      each.state === "leased" && !each.station ? button(t("lease.do"), () => free(each), { key: `lease ${each.id}` }) : null,
    );
  }

  const free = (each) =>
    tried(trouble, async () => {
      if (!(await confirmed(t("lease.ask"), t("lease.why", { name: each.name }), t("lease.do"), t("no")))) return;
      const { released } = await desk.call("leases.free", { reader: each.id });
      say(t(released ? "lease.done" : "lease.over"));
    });

  function all() {
    // Those that somebody waits for come first.
    const idle = (each) => Number(!desk.waitingFor(each).length);
    const found = [...desk.readers.values()].sort((one, other) => idle(one) - idle(other) || one.name.localeCompare(other.name));
    fill(
      readers,
      h("h2", { id: "readers" }, t("readers.title")),
      found.length ? h("ul", { class: "cards" }, found.map(reader)) : h("p", { class: "quiet" }, t("readers.none")),
    );
  }

  function works() {
    fill(
      drivers,
      h("h2", { id: "drivers" }, t("drivers.title")),
      table({ "aria-labelledby": "drivers" }, ["name", "state", "restarts", "act"].map((each) => t(`drivers.${each}`)), desk.now.drivers.map(row)),
    );
  }

  function row(driver) {
    const well = driver.state === "ready";
    const words = driver.reason ? desk.reason(driver.reason, driver.variant) : t(`driver.${driver.state}`);
    return [
      [driver.name, driver.version ? h("small", {}, driver.version) : null],
      desk.pill(well && !driver.reason ? "good" : driver.state === "starting" ? "live" : "bad", words),
      String(driver.restarts ?? 0),
      driver.state === "stopped" ? "—" : button(t("restart.do"), restart(driver.name), { kind: "small", key: `row ${driver.name}` }),
    ];
  }

  return {
    update() {
      hero();
      needs();
      all();
      works();
    },
  };
}
