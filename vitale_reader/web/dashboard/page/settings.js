// The settings: what the file says, what each part is for, and whether a restart would take it.

import { button, fill, h, icon, problem, prose } from "/dom.js";

export function settings(desk, body) {
  const { t } = desk;
  let gone = false;
  const result = h("section", { "aria-live": "polite" });
  body.append(h("p", { class: "lead" }, t("settings.why")), h("div", { class: "row" }, button(t("settings.run"), run, { kind: "main", picture: "gear" })), result);

  async function run() {
    fill(result, h("p", { class: "large live-text" }, icon("wait"), t("settings.looking")));
    try {
      const found = await desk.call("config.check");
      if (!gone) told(found);
    } catch (error) {
      fill(result, problem(error));
    }
  }

  function told(found) {
    const wrong = found.problem;
    fill(
      result,
      h(
        "div",
        { class: `state ${wrong ? "bad" : "good"}` },
        icon(wrong ? "alert" : "check", "2rem"),
        h(
          "div",
          {},
          h("h2", { class: "large" }, wrong ? wrong.title : t("settings.good")),
          h("p", {}, t(found.exists ? "settings.file" : "settings.default"), " ", h("code", {}, found.path)),
          wrong ? h("p", {}, prose(wrong.cause)) : null,
          wrong?.detail ? h("p", { class: "mono" }, wrong.detail) : null,
          wrong ? h("p", {}, h("strong", {}, t("doctor.remedy")), " ", prose(wrong.remedy)) : null,
        ),
      ),
      found.readable_by_others ? h("div", { class: "note odd" }, icon("info"), t("settings.readable")) : null,
      found.settings ? parts(found.settings) : null,
    );
  }

  function parts(all) {
    const plain = Object.entries(all).filter(([, value]) => !isTable(value));
    const tables = Object.entries(all).filter(([, value]) => isTable(value));
    return h("div", { class: "cards wide" }, part("", Object.fromEntries(plain)), tables.map(([name, table]) => part(name, table)));
  }

  function part(name, table) {
    const lines = [...flat(table)];
    return h(
      "section",
      { class: "card" },
      h("h3", {}, name ? h("code", {}, `[${name}]`) : t("settings.general")),
      h("p", {}, t(`settings.part.${name || "general"}`)),
      lines.length ? h("dl", {}, lines.map(([key, value]) => [h("dt", {}, h("code", {}, key)), h("dd", {}, written(value))])) : h("p", { class: "quiet" }, t("settings.nothing")),
    );
  }

  function* flat(table, within = "") {
    for (const [key, value] of Object.entries(table)) {
      if (isTable(value)) yield* flat(value, `${within}${key}.`);
      else yield [`${within}${key}`, value];
    }
  }

  const isTable = (value) => value !== null && typeof value === "object" && !Array.isArray(value);

  function written(value) {
    if (value === null || value === "" || (Array.isArray(value) && !value.length)) return t("settings.unset");
    if (typeof value === "boolean") return t(value ? "settings.yes" : "settings.no");
    return Array.isArray(value) ? value.map(String).join(", ") : String(value);
  }

  run();
  return {
    leave() {
      gone = true;
    },
  };
}
