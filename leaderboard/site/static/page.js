"use strict";
// Dark or light: as chosen before, else as the system is. A page opened from a file may have no storage.
(() => {
  const read = () => { try { return localStorage.getItem("theme"); } catch { return null; } };
  const keep = (theme) => { try { localStorage.setItem("theme", theme); } catch { /* not kept, then */ } };
  const root = document.documentElement;
  root.dataset.theme = read() || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  addEventListener("DOMContentLoaded", () => {
    document.getElementById("theme").addEventListener("click", () => {
      root.dataset.theme = root.dataset.theme === "dark" ? "light" : "dark";
      keep(root.dataset.theme);
      dispatchEvent(new Event("theme"));
    });
  });
})();

function ink(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}
