// What a camera sees, to aim a phone with. A camera is open only while a program waits for a code.

import { button, drawn, fill, h, icon, tried } from "/dom.js";

export function camera(desk, body) {
  const { t } = desk;
  let chosen = null;
  let url = null;
  let seen = false;
  let codes = [];
  const picture = h("img", { alt: t("camera.picture"), onload: () => seen && outline(codes) });
  const hint = h("div", { class: "hint" });
  // Laid over the picture as the picture is laid into its field.
  const outlines = drawn("svg", { class: "outlines", "aria-hidden": "true" });
  const found = h("p", { class: "quiet", role: "status" });
  const field = h("div", { class: "preview" }, outlines, hint);
  const trouble = h("div");
  const choice = h("div", { class: "row", role: "group", "aria-label": t("camera.choose") });
  body.append(h("p", { class: "lead" }, t("camera.why")), choice, trouble, field, found);

  const cameras = () => [...desk.readers.values()].filter((reader) => reader.driver === "camera" && !reader.station);

  async function choose(reader) {
    await stop();
    chosen = reader?.id ?? null;
    dark();
    if (chosen) await tried(trouble, () => desk.call("preview.start", { reader: chosen, every_ms: 200 }));
  }

  async function stop() {
    if (chosen) await desk.call("preview.stop", { reader: chosen }).catch(() => {});
    chosen = null;
  }

  function dark() {
    picture.remove();
    seen = false;
    outline([]);
    const reader = desk.readers.get(chosen);
    const words = !reader ? "camera.none" : desk.waitingFor(reader).length ? "camera.opening" : "camera.closed";
    fill(hint, icon(reader ? "wait" : "camera", "2.5rem"), h("p", {}, t(words)));
    hint.hidden = false;
  }

  function show(frame) {
    const bytes = Uint8Array.from(atob(frame.jpeg_b64), (each) => each.charCodeAt(0));
    const next = URL.createObjectURL(new Blob([bytes], { type: "image/jpeg" }));
    codes = frame.codes ?? [];
    picture.src = next;
    if (url) URL.revokeObjectURL(url);
    url = next;
    if (!picture.isConnected) field.prepend(picture);
    hint.hidden = true;
    seen = true;
  }

  function outline(all) {
    const [width, height] = [picture.naturalWidth || 4, picture.naturalHeight || 3];
    outlines.setAttribute("viewBox", `0 0 ${width} ${height}`);
    outlines.classList.toggle("several", all.length > 1);
    outlines.replaceChildren(...all.map((corners) => drawn("polygon", { points: corners.map(([x, y]) => `${x * width},${y * height}`).join(" ") })));
    const words = all.length > 1 ? t("camera.several") : all.length ? t("camera.found") : "";
    if (found.textContent !== words) found.textContent = words;
  }

  function update() {
    const here = cameras();
    if (!here.some((reader) => reader.id === chosen)) choose(here[0]);
    fill(
      choice,
      here.map((reader) => {
        const made = button(reader.name, () => choose(reader).then(update), { kind: "small", key: reader.id });
        made.setAttribute("aria-pressed", String(reader.id === chosen));
        return made;
      }),
    );
    const reader = desk.readers.get(chosen);
    if (!seen || !reader || !desk.waitingFor(reader).length) dark();
  }

  return {
    update,
    event(name, params) {
      if (name === "preview.frame" && params.reader === chosen) show(params);
    },
    leave() {
      stop();
      if (url) URL.revokeObjectURL(url);
    },
  };
}
