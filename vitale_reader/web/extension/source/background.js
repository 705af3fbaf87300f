// SPDX-License-Identifier: Apache-2.0
// Grants sites by a click, and opens the native host for the pages of a site that was granted.
"use strict";

const api = globalThis.browser ?? chrome;
const HOST = "vitale_reader";
// Pages of one site at a time, each with a process: as many as the daemon takes, open and not yet.
const MOST_PAGES = 12;

// ── which sites ──

/**
 * The pages of a site, and of its host's other ports in Firefox, whose patterns have none: the desk tells them apart.
 *
 * @param {string} origin as the browser names it
 */
function pattern(origin) {
  const { protocol, host, hostname } = new URL(origin);
  return `${protocol}//${"getBrowserInfo" in api.runtime ? hostname : host}/*`;
}

// A click on the action: the one gesture by which a site is granted, and no more than that site.
api.action.onClicked.addListener(async (tab) => {
  const { origin } = new URL(tab.url ?? "about:blank");
  if (!/^https?:/.test(origin)) return;
  // First of all, and nothing is awaited before: a permission is asked within the click.
  if (!(await api.permissions.request({ origins: [pattern(origin)] }))) return;
  await register();
  await api.scripting.executeScript({ target: { tabId: tab.id }, files: ["relay.js"] });
  await mark(tab.id);
});

api.permissions.onAdded.addListener(register);
api.permissions.onRemoved.addListener(register);
api.runtime.onInstalled.addListener(register);
api.runtime.onStartup.addListener(register);

let registering = Promise.resolve();

/** Has the relay in the pages of all sites that are granted, and in no others. */
function register() {
  registering = registering.then(async () => {
    const { origins = [] } = await api.permissions.getAll();
    const known = await api.scripting.getRegisteredContentScripts();
    const gone = known.map(({ id }) => id).filter((id) => !origins.includes(id));
    if (gone.length > 0) await api.scripting.unregisterContentScripts({ ids: gone });
    const fresh = origins.filter((origin) => !known.some(({ id }) => id === origin));
    const scripts = fresh.map((origin) => ({ id: origin, matches: [origin], js: ["relay.js"], runAt: "document_start" }));
    if (scripts.length > 0) await api.scripting.registerContentScripts(scripts);
  });
  registering = registering.catch((error) => console.error("the sites could not be registered", error));
  return registering;
}

/** @param {number} tabId whose page may come */
async function mark(tabId) {
  await api.action.setBadgeText({ tabId, text: "✓" });
  await api.action.setTitle({ tabId, title: api.i18n.getMessage("granted") });
}

// ── pages ──

/** Ports of pages, by their site. */
const open = new Map();

api.runtime.onConnect.addListener((page) => {
  // The origin as the browser knows it, and nothing that the page says. A sandboxed document has none.
  const { id, origin, frameId, documentLifecycle = "active", tab } = page.sender ?? {};
  const isPage = id === api.runtime.id && frameId === 0 && documentLifecycle === "active";
  if (!isPage || typeof origin !== "string" || !/^https?:\/\//.test(origin)) return page.disconnect();
  carry(page, origin, tab?.id);
});

/**
 * @param {object} page
 * @param {string} site
 * @param {number | undefined} tabId
 */
async function carry(page, site, tabId) {
  let isGone = false;
  page.onDisconnect.addListener(() => (isGone = true));
  const isGranted = await api.permissions.contains({ origins: [pattern(site)] });
  if (isGone || !isGranted) return page.disconnect();
  if ([...open.values()].filter((other) => other.site === site).length >= MOST_PAGES) {
    page.postMessage({ close: 1013 });
    return page.disconnect();
  }

  const host = api.runtime.connectNative(HOST);
  let hasSpoken = false;
  open.set(page, { site, host });
  host.onMessage.addListener((message) => {
    hasSpoken = true;
    page.postMessage(message);
  });
  host.onDisconnect.addListener(() => {
    void api.runtime.lastError; // a host that is not installed: the page hears of it
    open.delete(page);
    if (hasSpoken) page.postMessage({ close: 1013 });
    page.disconnect();
  });
  page.onMessage.addListener((message) => host.postMessage(message));
  page.onDisconnect.addListener(() => {
    open.delete(page);
    host.disconnect();
  });
  host.postMessage({ site });
  if (tabId !== undefined) mark(tabId).catch(() => {}); // the tab is gone
}

api.permissions.onRemoved.addListener(async () => {
  for (const [page, { site, host }] of open) {
    if (await api.permissions.contains({ origins: [pattern(site)] })) continue;
    host.disconnect();
    page.disconnect();
  }
});
