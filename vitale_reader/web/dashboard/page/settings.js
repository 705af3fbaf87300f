// The settings: what the file says, what each part is for, and whether a restart would take it.

import { button, fill, flat, h, looked, note, problem, prose, region, state, submit, terms } from "/dom.js";

export function settings(desk, body) {
  const { t } = desk;
  const result = h("section", { "aria-live": "polite" });
  const list = h("section");
  const change = region("change", "panel");
  body.append(h("p", { class: "lead" }, t("settings.why")), h("div", { class: "row" }, button(t("settings.run"), run, { kind: "main", picture: "gear" })), result, change, list);

  function run() {
    return looked(result, t("settings.looking"), () => desk.call("config.check"), (found) => {
      told(found);
      if (!change.firstChild && found.settings) offer(found, found.settable[0]);
    });
  }

  // ── one setting changed ──

  const valueOf = (found, key) => key.split(".").reduce((table, name) => table?.[name], found.settings) ?? "";

  function offer(found, chosen, ...below) {
    const picked = (value, options, id) => h("select", { id }, options.map((each) => h("option", { value: each, selected: each === value }, each)));
    const now = String(valueOf(found, chosen.key));
    const which = picked(chosen.key, found.settable.map((each) => each.key), "setting");
    which.dataset.key = "setting";
    which.addEventListener("change", () => offer(found, found.settable.find((each) => each.key === which.value)));
    const value = chosen.choices?.length ? picked(now, chosen.choices, "value") : h("input", { id: "value", class: "plain", value: now, autocomplete: "off", maxlength: "100" });
    const typed = h("input", { id: "typed", class: "plain", autocomplete: "off", autocapitalize: "none", spellcheck: "false", required: true });
    const go = submit(t("change.do"), true);
    typed.addEventListener("input", () => (go.disabled = typed.value !== chosen.key));
    const send = async (event) => {
      event.preventDefault();
      go.disabled = true;
      try {
        const { changed, problem: refused } = await desk.call("config.set", { key: chosen.key, value: value.value, confirmed: typed.value });
        if (!body.isConnected) return;
        if (refused) {
          offer(found, chosen, problem({ message: refused.title, remedy: refused.remedy }));
          return;
        }
        const words = t(changed ? "change.done" : "change.same", { key: chosen.key });
        const after = await desk.call("config.check");
        if (!body.isConnected) return;
        told(after);
        offer(after.settings ? after : found, chosen, note("good", "check", words, { role: "status" }));
      } catch (error) {
        if (body.isConnected) offer(found, chosen, problem(error));
      }
    };
    fill(
      change,
      h("h2", { id: "change" }, t("change.title")),
      h("p", {}, t("change.why")),
      h(
        "form",
        { class: "pairing", onsubmit: send },
        h("label", { for: "setting" }, t("change.setting")),
        which,
        h("p", { class: "quiet" }, t(`setting.${chosen.key}`)),
        h("label", { for: "value" }, t("change.value")),
        value,
        h("label", { for: "typed" }, t("change.confirm", { key: chosen.key })),
        typed,
        go,
      ),
      ...below,
    );
  }

  function told(found) {
    const wrong = found.problem;
    fill(
      result,
      state(
        wrong ? "bad" : "good",
        wrong ? "alert" : "check",
        h("h2", { class: "large" }, wrong ? wrong.title : t("settings.good")),
        h("p", {}, t(found.exists ? "settings.file" : "settings.default"), " ", h("code", {}, found.path)),
        wrong ? [h("p", {}, prose(wrong.cause)), wrong.detail ? h("p", { class: "mono" }, wrong.detail) : null, h("p", {}, h("strong", {}, t("doctor.remedy")), " ", prose(wrong.remedy))] : null,
      ),
      found.readable_by_others ? note("odd", "info", t("settings.readable")) : null,
    );
    fill(list, found.settings ? parts(found.settings) : null);
  }

  function parts(all) {
    const entries = Object.entries(all);
    const plain = entries.filter(([, value]) => !isTable(value));
    return h("div", { class: "cards wide" }, part("", Object.fromEntries(plain)), entries.map(([name, value]) => isTable(value) && part(name, value)));
  }

  function part(name, table) {
    const lines = [...flat(table, isTable)];
    return h(
      "section",
      { class: "card" },
      h("h3", {}, name ? h("code", {}, `[${name}]`) : t("settings.general")),
      h("p", {}, t(`settings.part.${name || "general"}`)),
      lines.length ? terms(lines.map(([key, value]) => [h("code", {}, key), written(value)])) : h("p", { class: "quiet" }, t("settings.nothing")),
    );
  }

  const isTable = (value) => value !== null && typeof value === "object" && !Array.isArray(value);

  function written(value) {
    if (typeof value === "boolean") return t(value ? "settings.yes" : "settings.no");
    return [value ?? ""].flat().join(", ") || t("settings.unset");
  }

  run();
}
