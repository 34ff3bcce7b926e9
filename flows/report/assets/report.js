// What every page shares: language, theme, definitions on focus, tables that sort and filter.
(function () {
  "use strict";
  var root = document.documentElement;
  var listeners = [];

  function keep(name, value) {
    try { localStorage.setItem("kommunekort-" + name, value); } catch (error) { /* private window: the page still works */ }
  }
  function english() { return root.lang === "en"; }
  function pick(pair) { return pair ? pair[english() ? 1 : 0] : ""; }
  function locale() { return english() ? "en-GB" : "da-DK"; }
  // The figures come with the digits to show; they are only written out, never rounded again.
  function number(value, decimals, signed) {
    var figure = Number(value);
    var text = Math.abs(figure).toLocaleString(locale(), { minimumFractionDigits: decimals, maximumFractionDigits: decimals, useGrouping: true });
    return (figure < 0 ? "\u2212" : signed && figure > 0 ? "+" : "") + text;
  }
  var MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "June", "July", "Aug", "Sept", "Oct", "Nov", "Dec"];
  function day(iso) {
    if (!iso) { return "\u2013"; }
    var p = iso.split("-");
    return english() ? Number(p[2]) + " " + MONTHS[p[1] - 1] + " " + p[0] : p[2] + "." + p[1] + "." + p[0];
  }

  // --- language ---
  function speak() {
    var lang = root.lang;
    document.querySelectorAll("data[data-d]").forEach(function (e) {
      e.textContent = number(e.value, Number(e.dataset.d), e.dataset.s === "1");
    });
    document.querySelectorAll("time[datetime]").forEach(function (e) { e.textContent = day(e.dateTime); });
    document.querySelectorAll("[data-da]").forEach(function (e) {
      var text = e.dataset[lang];
      if (e.hasAttribute("aria-label")) { e.setAttribute("aria-label", text); } else { e.textContent = text; }
    });
    document.querySelectorAll("a[href]").forEach(function (a) {
      var href = a.getAttribute("href");
      if (/^[a-z]+:/i.test(href) || href.charAt(0) === "#") { return; }
      var parts = href.split("#");
      var path = parts[0].split("?")[0] + (english() ? "?lang=en" : "");
      a.setAttribute("href", path + (parts.length > 1 ? "#" + parts[1] : ""));
    });
    listeners.forEach(function (f) { f(); });
  }
  function setLanguage(lang) {
    root.lang = lang;
    keep("lang", lang);
    var url = new URL(location.href);
    if (lang === "en") { url.searchParams.set("lang", "en"); } else { url.searchParams.delete("lang"); }
    try { history.replaceState(null, "", url); } catch (error) { /* a browser that forbids it on files: the storage remembers */ }
    speak();
  }

  // --- theme ---
  function dark() {
    return root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  }
  function showTheme() { document.getElementById("theme").setAttribute("aria-pressed", String(dark())); }

  // --- definitions beside the name of an indicator ---
  var tip = document.getElementById("tip");
  var anchor = null;
  var closing = null;
  function line(className, text) {
    var p = document.createElement("p");
    p.className = className;
    p.textContent = text;
    tip.appendChild(p);
  }
  function openTip(link) {
    var d = window.KK_DEFINITIONS && window.KK_DEFINITIONS[link.dataset.i];
    if (!d) { return; }
    clearTimeout(closing);
    closeTip();
    tip.textContent = "";
    line("tip-title", pick(d.label));
    line("", pick(d.text));
    var facts = [];
    if (d.period) { facts.push(pick(d.period)); }
    facts.push(pick(d.type));
    if (d.ages) { facts.push(d.ages + (english() ? " years" : " \u00e5r")); }
    line("tip-facts", facts.join(" \u00b7 "));
    line("tip-facts", (english() ? "Source: " : "Kilde: ") + [d.producer, d.table, pick(d.source), d.licence].filter(Boolean).join(", "));
    tip.hidden = false;
    link.setAttribute("aria-describedby", "tip");
    anchor = link;
    var box = link.getBoundingClientRect();
    var left = Math.max(8, Math.min(box.left, document.documentElement.clientWidth - tip.offsetWidth - 8));
    var top = box.bottom + 6;
    if (top + tip.offsetHeight > innerHeight) { top = Math.max(8, box.top - tip.offsetHeight - 6); }
    tip.style.left = left + scrollX + "px";
    tip.style.top = top + scrollY + "px";
  }
  function closeTip() {
    if (anchor) { anchor.removeAttribute("aria-describedby"); }
    anchor = null;
    tip.hidden = true;
  }
  function closeSoon() { closing = setTimeout(closeTip, 180); }
  function wireTips() {
    document.addEventListener("focusin", function (e) {
      var link = e.target.closest && e.target.closest("a.def");
      if (link) { openTip(link); } else { closeTip(); }
    });
    document.addEventListener("mouseover", function (e) {
      var link = e.target.closest && e.target.closest("a.def");
      if (link && link !== anchor) { openTip(link); }
      if (link || tip.contains(e.target)) { clearTimeout(closing); } else if (anchor && anchor !== document.activeElement) { closeSoon(); }
    });
    document.addEventListener("keydown", function (e) { if (e.key === "Escape") { closeTip(); } });
  }

  // --- sorting ---
  function keyOf(row, column) {
    var cell = row.cells[column];
    if (cell.dataset.v === undefined) { return cell.innerText.trim(); }
    if (cell.dataset.v === "") { return null; }
    var value = Number(cell.dataset.v);
    return isNaN(value) ? cell.dataset.v : value;
  }
  function sortBy(table, header) {
    var column = header.cellIndex;
    var descending = header.getAttribute("aria-sort") === "ascending";
    var body = table.tBodies[0];
    var collator = new Intl.Collator("da-DK", { numeric: true });
    var rows = Array.from(body.rows).map(function (row) { return [keyOf(row, column), row]; });
    rows.sort(function (a, b) {
      // What is not known stands last whichever way it is sorted.
      if (a[0] === null || b[0] === null) { return (a[0] === null) - (b[0] === null); }
      var order = typeof a[0] === "number" && typeof b[0] === "number" ? a[0] - b[0] : collator.compare(a[0], b[0]);
      return descending ? -order : order;
    });
    rows.forEach(function (pair) { body.appendChild(pair[1]); });
    table.querySelectorAll("th[aria-sort]").forEach(function (th) { th.setAttribute("aria-sort", "none"); });
    header.setAttribute("aria-sort", descending ? "descending" : "ascending");
  }
  function wireSorting() {
    document.querySelectorAll("table.sortable thead button").forEach(function (button) {
      var header = button.closest("th");
      if (!header.hasAttribute("aria-sort")) { header.setAttribute("aria-sort", "none"); }
      button.addEventListener("click", function () { sortBy(button.closest("table"), header); });
    });
  }

  // --- filtering ---
  function fold(text) { return text.toLocaleLowerCase("da-DK"); }
  function told(shown, all) {
    return english() ? "Showing " + shown + " of " + all : "Viser " + shown + " af " + all;
  }
  function wireFilters() {
    var form = document.getElementById("filters");
    if (!form) { return; }
    var rows = Array.from(document.querySelectorAll("#overview tbody tr"));
    function apply() {
      var text = fold(document.getElementById("f-text").value.trim());
      var only = document.getElementById("f-participant").checked;
      var chosen = Array.from(form.querySelectorAll("select")).filter(function (s) { return s.value; });
      var shown = 0;
      rows.forEach(function (row) {
        var fits = fold(row.dataset.name).indexOf(text) >= 0 && (!only || row.dataset.participant === "1") &&
          chosen.every(function (s) { return row.dataset[s.dataset.key] === s.value; });
        row.hidden = !fits;
        shown += fits ? 1 : 0;
      });
      document.getElementById("f-count").textContent = told(shown, rows.length);
    }
    form.addEventListener("input", apply);
    form.addEventListener("submit", function (e) { e.preventDefault(); });
    listeners.push(apply);
  }
  function wireFinding() {
    var box = document.getElementById("find");
    if (!box) { return; }
    var items = Array.from(document.querySelectorAll(box.dataset.find));
    var texts = items.map(function (item) { return fold(item.textContent); });
    function apply() {
      var text = fold(box.value.trim());
      var shown = 0;
      items.forEach(function (item, place) {
        item.hidden = texts[place].indexOf(text) < 0;
        shown += item.hidden ? 0 : 1;
      });
      document.querySelectorAll("section.dictionary").forEach(function (s) {
        s.hidden = !s.querySelector("tbody tr:not([hidden])");
      });
      document.getElementById("found").textContent = told(shown, items.length);
    }
    box.addEventListener("input", apply);
    listeners.push(apply);
  }

  window.KK = { pick: pick, number: number, day: day, english: english, onLanguage: function (f) { listeners.push(f); } };

  document.addEventListener("DOMContentLoaded", function () {
    document.getElementById("language").addEventListener("click", function () { setLanguage(english() ? "da" : "en"); });
    document.getElementById("theme").addEventListener("click", function () {
      root.dataset.theme = dark() ? "light" : "dark";
      keep("theme", root.dataset.theme);
      showTheme();
    });
    document.querySelectorAll("[data-print]").forEach(function (b) { b.addEventListener("click", function () { print(); }); });
    showTheme();
    wireTips();
    wireSorting();
    wireFilters();
    wireFinding();
    speak();
  });
})();
