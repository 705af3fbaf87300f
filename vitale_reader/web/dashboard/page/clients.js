// Programs and pages that may ask for readings; a page is paired by the digits that it shows, typed here.

import { button, confirmed, fill, h, note, problem, region, say, submit, table, ticked, ticks, waits } from "/dom.js";

// Milliseconds for which what has just appeared cannot be accepted: nobody has read it by then.
const READ = 500;

export function clients(desk, body) {
  const { t } = desk;
  let known = [];
  let turn = 0;
  let clock = null;
  const pairing = region("pairing", "panel");
  const list = region("paired");
  body.append(pairing, list);

  // ── the list ──

  async function load() {
    try {
      known = (await desk.call("clients.list")).clients;
    } catch (error) {
      fill(list, problem(error));
      return;
    }
    if (body.isConnected) listed();
  }

  function listed() {
    const rows = known.filter((each) => !each.revoked_at);
    const former = known.length - rows.length;
    fill(
      list,
      h("h2", { id: "paired" }, t("clients.title")),
      rows.length
        ? table({ "aria-labelledby": "paired" }, ["name", "where", "scopes", "since", "act"].map((each) => t(`clients.${each}`)), rows.map(row))
        : h("p", { class: "quiet" }, t("clients.none")),
      former ? h("p", { class: "quiet" }, desk.count("clients.former", former)) : null,
    );
  }

  function row(client) {
    return [
      client.name,
      client.site ?? client.transports.map((each) => t(`transport.${each}`)).join(", "),
      client.scopes.map((each) => t(`scope.short.${each}`)).join(", "),
      desk.time(client.created_at, { dateStyle: "medium" }),
      button(t("clients.revoke"), () => revoke(client), { kind: "small", key: `revoke ${client.client_id}` }),
    ];
  }

  async function revoke(client) {
    if (!(await confirmed(t("revoke.ask", { name: client.name }), t("revoke.why"), t("clients.revoke"), t("no")))) return;
    try {
      await desk.call("clients.revoke", { client_id: client.client_id });
      say(t("revoke.done", { name: client.name }));
    } catch (error) {
      list.prepend(problem(error));
      return;
    }
    await load();
  }

  // ── the pairing ──

  const panel = (...parts) => fill(pairing, h("h2", { id: "pairing" }, t("pair.title")), ...parts);

  function closed(...above) {
    turn += 1;
    clearInterval(clock);
    panel(...above, h("p", {}, t("pair.how")), button(t("pair.open"), open, { kind: "main", key: "open" }));
  }

  async function open() {
    turn += 1;
    const mine = turn;
    let opened;
    try {
      opened = await desk.call("pairing.open");
    } catch (error) {
      closed(problem(error));
      return;
    }
    waiting(opened);
    try {
      const asked = await desk.call("pairing.wait");
      if (mine === turn) shown(asked);
    } catch (error) {
      if (mine === turn) closed(problem(error));
    }
  }

  function waiting(opened) {
    const left = h("span", { class: "mono" });
    const tick = () => {
      const seconds = Math.max(0, Math.round(opened.expires - Date.now() / 1000));
      left.textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
    };
    clearInterval(clock);
    clock = setInterval(tick, 1000);
    tick();
    panel(
      waits(t("pair.waiting"), " ", left),
      h("p", {}, t("pair.waiting.why")),
      opened.attempts?.length
        ? h("div", {}, h("h3", {}, t("pair.attempts")), h("ul", {}, opened.attempts.map((each) => h("li", {}, h("code", {}, each.site), " ", desk.time(each.at)))))
        : null,
      button(t("pair.close"), close, { key: "close" }),
    );
    say(t("pair.waiting"));
  }

  async function close() {
    closed();
    await desk.call("pairing.close").catch(() => {});
  }

  /** The site in the letters that a browser sends, with the part that its owner registered set off. */
  function site(asked) {
    const domain = asked.registrable || "";
    const at = domain ? asked.site.lastIndexOf(domain) : -1;
    if (at < 0) return h("p", { class: "site" }, asked.site);
    return h("p", { class: "site" }, asked.site.slice(0, at), h("strong", {}, domain), asked.site.slice(at + domain.length));
  }

  function shown(asked) {
    const boxes = ticks(asked.scopes, t);
    const code = h("input", { id: "digits", inputmode: "numeric", autocomplete: "off", maxlength: "7", pattern: "[0-9]{3} ?[0-9]{3}", required: true, "aria-describedby": "why digits-wrong" });
    const wrong = h("div", { id: "digits-wrong" });
    const accept = submit(t("pair.accept"), true);
    const digits = () => code.value.replaceAll(" ", "");
    let read = false;
    const ready = () => {
      accept.disabled = !read || !ticked(boxes).length || digits().length !== 6;
    };
    setTimeout(() => {
      read = true;
      ready();
    }, READ);
    const form = h(
      "form",
      {
        class: "pairing",
        oninput: ready,
        onsubmit: async (event) => {
          event.preventDefault();
          if (accept.disabled) return;
          accept.disabled = true;
          const mine = turn;
          try {
            const accepted = await desk.call("pairing.accept", { code: digits(), scopes: ticked(boxes) });
            if (mine !== turn) return;
            closed(note("good", "check", h("strong", {}, t("pair.done", { site: accepted.site })), { role: "status" }));
            await load();
          } catch (error) {
            if (mine !== turn) return;
            if (!["code", "nobody"].includes(error.data.variant)) {
              closed(problem(error));
              return;
            }
            wrong.replaceChildren(problem(error));
            code.value = "";
            code.focus();
          }
        },
      },
      h("p", {}, t("pair.asks")),
      site(asked),
      asked.written ? h("p", { class: "quiet" }, asked.written) : null,
      h("p", { class: "large" }, t("quoted", { name: asked.name })),
      (asked.warnings ?? []).map((each) => note("odd", "alert", t(`warning.${each}`))),
      h("fieldset", {}, h("legend", {}, t("pair.scopes")), boxes),
      h("label", { for: "digits" }, t("pair.digits")),
      h("p", { id: "why", class: "quiet" }, t("pair.digits.why")),
      code,
      wrong,
      h("div", { class: "row" }, accept, button(t("pair.refuse"), close, { key: "refuse" })),
    );
    clearInterval(clock);
    panel(form);
    say(t("pair.asks"));
    code.focus();
  }

  closed();
  load();
  return {
    leave() {
      const wasOpen = clock !== null;
      turn += 1;
      clearInterval(clock);
      if (wasOpen) desk.call("pairing.close").catch(() => {});
    },
    lost: () => closed(),
  };
}
