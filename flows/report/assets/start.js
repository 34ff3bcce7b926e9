// Runs before the page is drawn, so that neither language nor theme is seen to change.
(function () {
  "use strict";
  var root = document.documentElement;
  function kept(name) {
    try { return localStorage.getItem("kommunekort-" + name); } catch (error) { return null; }
  }
  var asked = new URLSearchParams(location.search).get("lang");
  var lang = asked === "en" || asked === "da" ? asked : kept("lang");
  root.lang = lang === "en" ? "en" : "da";
  var theme = kept("theme");
  if (theme === "dark" || theme === "light") { root.dataset.theme = theme; }
  root.classList.add("js");
})();
