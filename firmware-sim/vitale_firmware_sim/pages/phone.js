"use strict";
// Asks the simulator what the phone shows, and draws it. The code itself is a picture; this page never sees its text.
const element = (id) => document.getElementById(id);
const root = document.documentElement;
const LOOKS_EVERY = 1000;
let state = { screen: "lost", number: 0, left: 0, lasts: 1 };
let asked = performance.now();

function speak(language) {
  root.lang = language;
  for (const one of document.querySelectorAll("[data-fr]")) one.textContent = one.dataset[language];
  document.title = language === "fr" ? "appli simulée" : "simulated application";
  element("code").alt = language === "fr" ? "Code QR de la carte simulée" : "QR code of the simulated card";
}

function show() {
  for (const screen of ["shown", "locked", "lost"]) element(screen).hidden = screen !== state.screen;
  element("name").textContent = state.name ?? "";
  const source = `code-${state.number}.svg`;
  if (state.screen === "shown" && !element("code").src.endsWith(`/${source}`)) element("code").src = source;
  fit();
}

function fit() {
  // As many whole pixels of the screen for each module as there is room for: modules are then all alike.
  const room = element("code").parentElement.clientWidth * devicePixelRatio;
  const each = Math.floor(room / state.modules);
  if (each > 0 && each < Infinity) element("code").style.width = `${(each * state.modules) / devicePixelRatio}px`;
}

function tick() {
  const left = Math.max(state.left - (performance.now() - asked) / 1000, 0);
  element("seconds").textContent = `${Math.ceil(left)} s`;
  element("bar").style.transform = `scaleX(${left / state.lasts})`;
  if (left === 0 && state.screen === "shown" && performance.now() - asked > 300) look();
  requestAnimationFrame(tick);
}

async function look() {
  asked = performance.now();
  try {
    const answer = await fetch("state.json", { cache: "no-store" });
    if (!answer.ok) throw new Error(String(answer.status));
    state = await answer.json();
  } catch {
    state = { ...state, screen: "lost", left: 0 };
  }
  asked = performance.now();
  show();
}

function pressed(id, name) {
  element(id).addEventListener("click", () => {
    element(id).setAttribute("aria-pressed", String(root.classList.toggle(name)));
  });
}

async function stayAwake() {
  // Only where the page came over https or from this machine; elsewhere the screen dims as it always does.
  try {
    if (document.visibilityState === "visible") await navigator.wakeLock?.request("screen");
  } catch { /* refused on a low battery */ }
}

pressed("dark", "dark");
pressed("bright", "bright");
element("bright").addEventListener("click", () => {
  if (root.classList.contains("bright")) root.requestFullscreen?.().catch(() => {});
  else if (document.fullscreenElement) document.exitFullscreen();
});
element("language").addEventListener("click", () => speak(root.lang === "fr" ? "en" : "fr"));
document.addEventListener("visibilitychange", stayAwake);
addEventListener("resize", fit);
speak(root.lang);
stayAwake();
look();
setInterval(look, LOOKS_EVERY);
requestAnimationFrame(tick);
