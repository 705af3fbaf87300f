// The audit trail: whether it is whole, by the seals of each row.

import { button, fill, h, looked, problem, prose, say, state, table } from "/dom.js";

export function trail(desk, body) {
  const { t } = desk;
  const result = h("section", { "aria-live": "polite", "aria-labelledby": "trail" });
  body.append(h("p", { class: "lead" }, t("trail.why")), h("div", { class: "row" }, button(t("trail.run"), run, { kind: "main", picture: "trail" })), result);

  function run() {
    return looked(result, t("trail.looking"), () => desk.call("audit.verify"), told);
  }

  function told({ whole, chains = [], faults = [], problem: unread }) {
    if (unread) {
      fill(result, problem({ message: unread.title, remedy: unread.remedy }));
      return;
    }
    const words = t(whole ? "trail.whole" : "trail.broken");
    fill(
      result,
      state(whole ? "good" : "bad", whole ? "check" : "alert", h("h2", { id: "trail", class: "large" }, words), h("p", {}, prose(t(whole ? "trail.whole.why" : "trail.broken.why")))),
      table({ "aria-label": t("trail.chains") }, ["station", "rows", "chain"].map((each) => t(`trail.${each}`)), chains.map(chain)),
      faults.length ? h("div", {}, h("h3", {}, t("trail.faults")), h("ul", {}, faults.map((each) => h("li", {}, h("code", {}, `${each.table} ${each.key}`.trim()), " ", t(`fault.${each.why}`))))) : null,
    );
    say(words);
  }

  function chain(each) {
    const name = each.station === desk.station.id ? desk.station.name : (each.station ?? "—");
    return [
      [name, each.station ? h("small", { class: "mono" }, each.station) : null],
      new Intl.NumberFormat(desk.language).format(each.rows),
      each.broken ? desk.pill("bad", t("trail.at", { row: each.row, why: t(`broken.${each.broken}`) })) : desk.pill("good", t("trail.intact")),
    ];
  }

  run();
}
