// SPDX-License-Identifier: Apache-2.0
// Carries what a page says, on one port that the page itself made, to the extension, and back.
"use strict";

(() => {
  const api = globalThis.browser ?? chrome;
  const CALL = "vitale-reader.1";

  // Injected twice, where a site is granted while its page is shown, and registered: one is enough.
  if (globalThis.vitaleReader) return;
  globalThis.vitaleReader = true;

  // Whether somebody is here is answered at once: a page that knows no extension waits for nothing.
  document.addEventListener(CALL, (event) => event.preventDefault());

  addEventListener("message", (event) => {
    // Frames within the page speak to it in its window: theirs is another source, and often another origin.
    if (event.source !== window || event.origin !== location.origin || event.data !== CALL) return;
    const [page] = event.ports;
    if (page !== undefined && event.ports.length === 1) carry(page);
  });

  /** @param {MessagePort} page */
  function carry(page) {
    /** @param {object} last */
    const end = (last) => {
      page.postMessage(last);
      page.close();
    };
    let desk;
    try {
      desk = api.runtime.connect();
    } catch {
      return end({ absent: true }); // the extension was updated, or removed, since this page was loaded
    }
    desk.onMessage.addListener((message) => page.postMessage(message));
    desk.onDisconnect.addListener(() => end({ absent: true }));
    page.onmessage = ({ data }) => {
      if (data === null) desk.disconnect(); // the page's last word
      else desk.postMessage(data);
    };
    addEventListener("pagehide", () => desk.disconnect(), { once: true });
  }
})();
