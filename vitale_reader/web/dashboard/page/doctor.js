// What is wrong, why, and what to do about it; a button where that can be done from here. And the file for support.

import { apart, button, fill, h, icon, looked, note, problem, prose, region, say, table, tried, waits } from "/dom.js";

const PICTURES = { wrong: "alert", note: "info" };
const KINDS = { wrong: "bad", note: "odd" };

export function doctor(desk, body) {
  const { t } = desk;
  const top = h("div", { class: "row" }, button(t("doctor.run"), run, { kind: "main", picture: "pulse" }));
  const report = h("section", { "aria-labelledby": "report", "aria-live": "polite" });
  const support = region("support", "panel");
  body.append(top, report, support);

  async function run() {
    report.setAttribute("aria-busy", "true");
    await looked(report, t("doctor.looking"), () => desk.call("diagnostics.run"), told);
    report.removeAttribute("aria-busy");
  }

  function told({ healthy, findings }) {
    const [wrong, notes, well] = ["wrong", "note", "ok"].map((state) => findings.filter((each) => each.state === state));
    const words = healthy ? t("doctor.healthy") : desk.count("doctor.wrong", wrong.length);
    const fine = (each) => h("li", {}, icon("check"), keptApart(each).title);
    fill(
      report,
      h("h2", { id: "report" }, words),
      [wrong, notes].map((found) => found.length > 0 && h("ul", { class: "cards wide" }, found.map(finding))),
      well.length > 0 && h("details", { class: "panel" }, h("summary", {}, desk.count("doctor.ok", well.length)), h("ul", { class: "plain ticks" }, well.map(fine))),
    );
    say(words);
  }

  /** A finding, with what others wrote kept apart in its sentences. */
  function keptApart(each) {
    const names = Object.values(each.data ?? {}).filter((value) => typeof value === "string" && apart(value) !== value);
    const kept = (text) => names.reduce((whole, name) => whole.replaceAll(name, apart(name)), text ?? "");
    return { ...each, title: kept(each.title), cause: kept(each.cause), remedy: kept(each.remedy) };
  }

  function finding(found) {
    const each = keptApart(found);
    const below = h("div");
    const driver = remedied(each);
    return h(
      "li",
      { class: `card ${KINDS[each.state]}` },
      h("h3", {}, icon(PICTURES[each.state]), each.title),
      each.cause ? h("p", {}, prose(each.cause)) : null,
      each.remedy ? h("p", {}, h("strong", {}, t("doctor.remedy")), " ", prose(each.remedy)) : null,
      each.detail ? h("details", {}, h("summary", {}, t("doctor.detail")), h("p", { class: "mono" }, each.detail)) : null,
      driver
        ? button(
            t(each.subject === "pcsc" || driver === "pcsc" ? "doctor.pcsc" : "doctor.restart", { name: driver }),
            () =>
              tried(below, async () => {
                await desk.restart(driver);
                fill(below, note("good", "check", t("restart.done", { name: driver })));
              }),
            { key: `remedy ${driver}` },
          )
        : null,
      below,
    );
  }

  /** The driver whose new start may help: what a finding names, or the one behind the smart card service. */
  function remedied(each) {
    const named = each.subject === "driver" ? each.data?.name : each.subject === "reader" ? each.data?.driver : each.subject === "pcsc" ? "pcsc" : null;
    const known = desk.now.drivers.find((driver) => driver.name === named);
    return known && known.state !== "stopped" ? known.name : null;
  }

  // ── the file for support ──

  function offer(...below) {
    fill(support, h("h2", { id: "support" }, t("support.title")), h("p", {}, t("support.why")), button(t("support.make"), make, { key: "bundle" }), ...below);
  }

  async function make() {
    offer(waits(t("support.making")));
    try {
      const made = await desk.call("diagnostics.bundle");
      if (body.isConnected) packed(made);
    } catch (error) {
      offer(problem(error));
    }
  }

  function packed({ zip_b64, files, complete }) {
    const bytes = Uint8Array.from(atob(zip_b64), (each) => each.charCodeAt(0));
    const url = URL.createObjectURL(new Blob([bytes], { type: "application/zip" }));
    const name = `vitale-reader-${new Date().toISOString().slice(0, 16).replaceAll(/[:T]/g, "-")}.zip`;
    const size = new Intl.NumberFormat(desk.language);
    offer(
      table(
        { "aria-label": t("support.files") },
        ["name", "about", "size"].map((each) => t(`support.${each}`)),
        files.map((each) => [each.name, t(`support.kind.${each.kind}`), size.format(each.size)]),
      ),
      complete === false ? h("p", { class: "quiet" }, t("support.cut")) : null,
      h("p", {}, t("support.read")),
      h("a", { class: "button main", href: url, download: name, "data-key": "save" }, t("support.save")),
    );
    say(t("support.made"));
  }

  offer();
  run();
}
