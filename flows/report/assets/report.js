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
      if (e.hasAttribute("placeholder")) { e.setAttribute("placeholder", text); } else if (e.hasAttribute("aria-label")) { e.setAttribute("aria-label", text); } else { e.textContent = text; }
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
    line("tip-facts", (english() ? "Source: " : "Kilde: ") + [pick(d.producer), d.table, pick(d.source)].filter(Boolean).join(", "));
    if (pick(d.licence)) { line("tip-facts", (english() ? "Terms: " : "Vilk\u00e5r: ") + pick(d.licence)); }
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
  // --- on a phone a table's rows become cards; each cell then says what it is ---
  function labelCells() {
    document.querySelectorAll("table.folds").forEach(function (table) {
      var head = Array.from(table.tHead ? table.tHead.rows[0].cells : []).map(function (th) { return spoken(th, true).replace(/ [\u2013-] definition$/, ""); });
      Array.from(table.tBodies).forEach(function (body) {
        Array.from(body.rows).forEach(function (row) {
          Array.from(row.cells).forEach(function (cell, k) { if (cell.tagName === "TD" && head[k]) { cell.dataset.label = head[k]; } });
        });
      });
    });
  }
  function wireSorting() {
    document.querySelectorAll("table.sortable thead button").forEach(function (button) {
      var header = button.closest("th");
      if (!header.hasAttribute("aria-sort")) { header.setAttribute("aria-sort", "none"); }
      button.addEventListener("click", function () { sortBy(button.closest("table"), header); });
    });
  }

  // --- a wide matrix on a narrow screen: one column at a time, the reader's choice ---
  function narrowMatrix() {
    var choice = document.getElementById("matrix-industry"), matrix = document.querySelector("table.matrix");
    if (!choice || !matrix) { return; }
    function show() {
      Array.from(matrix.rows).forEach(function (row) {
        for (var k = 1; k < row.cells.length; k += 1) { row.cells[k].classList.toggle("off", k !== Number(choice.value)); }
      });
    }
    choice.addEventListener("change", show);
    show();
  }

  // --- finding a municipality: spelling with or without the Danish letters, "kommune", one slip of the finger ---
  function fold(text) { return text.toLocaleLowerCase("da-DK"); }
  function bare(text) { return fold(text).replace(/[-\u2010-\u2015.,]/g, " ").replace(/\bregionskommune\b|\bs kommune\b|\bkommunen?\b|\bmunicipality( of)?\b/g, " ").replace(/\s+/g, " ").trim(); }
  function spellings(text) {
    var plain = bare(text);
    return [
      plain.replace(/\u00e6/g, "ae").replace(/\u00f8/g, "oe").replace(/\u00e5/g, "aa"),
      plain.replace(/\u00e6/g, "ae").replace(/\u00f8/g, "o").replace(/\u00e5|aa/g, "a").replace(/oe/g, "o"),
      plain.replace(/\u00e6/g, "a").replace(/\u00f8/g, "o").replace(/\u00e5|aa/g, "a")
    ];
  }
  function slips(a, b) {
    var row = Array.from({ length: b.length + 1 }, function (x, j) { return j; });
    for (var i = 1; i <= a.length; i += 1) {
      var last = row[0];
      row[0] = i;
      for (var j = 1; j <= b.length; j += 1) {
        var kept = row[j];
        row[j] = Math.min(row[j] + 1, row[j - 1] + 1, last + (a[i - 1] === b[j - 1] ? 0 : 1));
        last = kept;
      }
    }
    return row[b.length];
  }
  var index = null;
  // The codes of the municipalities a text may mean: exactly, else by their beginning, their middle, or one or two slips.
  function find(text) {
    if (!index) {
      index = (window.KK_PLACES || []).map(function (p) {
        return [p[0], p.slice(1).map(spellings).reduce(function (a, b) { return a.concat(b); }, [])];
      });
    }
    var asked = spellings(text.trim().replace(/^0(?=\d{3}$)/, "")).filter(Boolean), genitive = asked.map(function (q) { return q.replace(/s$/, ""); });
    if (!asked.length) { return []; }
    function where(test) {
      return index.filter(function (p) { return p[0] === asked[0] || p[1].some(test); }).map(function (p) { return p[0]; });
    }
    var tries = [
      function (n) { return asked.indexOf(n) >= 0; },
      function (n) { return asked.some(function (q) { return n.indexOf(q) === 0; }); },
      function (n) { return asked.some(function (q) { return n.indexOf(q) >= 0; }); },
      function (n) { return genitive.indexOf(n) >= 0; },
      function (n) { return asked.some(function (q) { return q.length > 3 && slips(q, n) <= (q.length > 7 ? 2 : 1); }); }
    ];
    for (var k = 0; k < tries.length; k += 1) {
      var found = where(tries[k]);
      if (found.length) { return found; }
    }
    return [];
  }
  function wireGoTo() {
    var form = document.getElementById("goto");
    if (!form) { return; }
    var box = form.querySelector("input"), list = form.querySelector("datalist"), said = form.querySelector("[role=status]");
    listeners.push(function () {
      list.textContent = "";
      (window.KK_PLACES || []).forEach(function (p) {
        var o = document.createElement("option");
        o.value = p[english() ? 2 : 1];
        list.appendChild(o);
      });
    });
    form.addEventListener("submit", function (e) {
      e.preventDefault();
      var found = find(box.value);
      if (found.length === 1) {
        location.href = root.dataset.root + "kommune/" + found[0] + ".html" + (english() ? "?lang=en" : "");
        return;
      }
      said.textContent = found.length ? (english() ? found.length + " municipalities fit; write more." : found.length + " kommuner passer; skriv mere.")
        : (english() ? "No municipality by that name." : "Ingen kommune hedder det.");
    });
  }

  // --- filtering ---
  function told(shown, all) {
    return english() ? "Showing " + shown + " of " + all : "Viser " + shown + " af " + all;
  }
  function wireFilters() {
    var form = document.getElementById("filters");
    if (!form) { return; }
    var rows = Array.from(document.querySelectorAll("#overview tbody tr"));
    function apply() {
      var text = document.getElementById("f-text").value.trim();
      var named = text ? find(text) : null;
      var only = document.getElementById("f-participant").checked;
      var chosen = Array.from(form.querySelectorAll("select")).filter(function (s) { return s.value; });
      var shown = 0;
      rows.forEach(function (row) {
        var fits = (!named || named.indexOf(row.dataset.c) >= 0) && (!only || row.dataset.participant === "1") &&
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

  // --- taking tables and drawings out: CSV, SVG, PNG, each with its source, day and the mark of invented figures ---
  function spoken(element, parted) {
    var copy = element.cloneNode(true);
    copy.querySelectorAll(english() ? ".da" : ".en").forEach(function (e) { e.remove(); });
    copy.querySelectorAll(".spark, .range, script").forEach(function (e) { e.remove(); });
    copy.querySelectorAll("small, p, li").forEach(function (e) { e.prepend(" "); });
    var text = copy.textContent.replace(/\s+/g, " ").trim();
    return parted ? text : text.replace(/\u00ad/g, "");
  }
  // Columns whose figures carry their n: it goes into a column of its own, so that both are figures.
  function counted(table) {
    var found = {};
    table.querySelectorAll("tbody small[data-n]").forEach(function (small) { found[small.parentElement.cellIndex] = true; });
    return found;
  }
  function cells(row, withN) {
    var out = [];
    Array.from(row.cells).forEach(function (cell) {
      if (cell.classList.contains("sparkcell")) { return; }
      var copy = cell.cloneNode(true), n = copy.querySelector("small[data-n]");
      if (n && withN[cell.cellIndex]) { n.remove(); }
      var figures = copy.querySelectorAll(":scope > data, :scope > strong > data"), text = spoken(copy);
      // A figure goes out as a figure: without thousands' separators, with the decimal mark of the language.
      if (figures.length === 1 && text === figures[0].textContent.trim()) { text = figures[0].value; if (!english()) { text = text.replace(".", ","); } }
      out.push(text);
      if (withN[cell.cellIndex] && cell.colSpan === 1) { out.push(cell.tagName === "TH" && !n ? text + ", n" : n ? n.dataset.n : ""); }
      for (var k = 1; k < cell.colSpan; k += 1) { out.push(""); }
    });
    return out;
  }
  function origin(source) {
    var r = window.KK_RELEASE || {};
    var lines = [];
    if (r.mark) { lines.push(r.mark); }
    if (source) { lines.push((english() ? "Source: " : "Kilde: ") + source); }
    lines.push((english() ? "The mapping, built " : "Kortl\u00e6gningen, bygget ") + day(r.day) + (english() ? ", run " : ", k\u00f8rsel ") + r.run);
    return lines;
  }
  function quoted(text) {
    // A cell that a spreadsheet would take for a formula is written as text; a negative figure is a figure.
    var safe = /^[=+@\t]|^-(?![\d.,]+$)/.test(text) ? "'" + text : text;
    return /[";\r\n]/.test(safe) ? '"' + safe.replace(/"/g, '""') + '"' : safe;
  }
  function tableText(table) {
    var withN = counted(table);
    var rows = Array.from(table.rows).filter(function (row) { return !row.hidden; }).map(function (row) { return cells(row, withN).map(quoted).join(";"); });
    var sources = {};
    table.querySelectorAll("a.def[data-i]").forEach(function (a) {
      var d = (window.KK_DEFINITIONS || {})[a.dataset.i];
      if (d) { sources[[pick(d.producer), d.table].filter(Boolean).join(" ")] = true; }
    });
    return "\ufeff" + rows.concat("", origin(Object.keys(sources).join(", ")).map(quoted)).join("\r\n") + "\r\n";
  }
  function save(name, blob) {
    var link = document.createElement("a"), r = window.KK_RELEASE || {};
    link.href = URL.createObjectURL(blob);
    link.download = (r.mark ? "syntetisk-" : "") + name;
    document.body.appendChild(link);
    link.click();
    link.remove();
    setTimeout(function () { URL.revokeObjectURL(link.href); }, 10000);
  }
  var STYLED = ["fill", "stroke", "stroke-width", "stroke-dasharray", "stroke-opacity", "fill-opacity", "opacity", "font-size", "font-weight", "text-anchor", "display", "vector-effect", "paint-order"];
  // The drawing as it looks now, alone: the page's colours written into it, a title above and its origin below.
  function drawing(svg, title, source) {
    var box = svg.viewBox.baseVal, copy = svg.cloneNode(true);
    var mine = svg.querySelectorAll("*"), theirs = copy.querySelectorAll("*");
    Array.from(theirs).forEach(function (e, k) {
      var style = getComputedStyle(mine[k]);
      STYLED.forEach(function (name) { var v = style.getPropertyValue(name); if (v) { e.setAttribute(name, v.replace(/"/g, "'")); } });
      e.removeAttribute("class");
    });
    var body = getComputedStyle(document.body), size = box.width / 46, lines = origin(source);
    // Words are broken where the line is full.
    var head = [], line = "";
    title.split(" ").forEach(function (word) {
      if ((line + " " + word).length > 64) { head.push(line); line = word; } else { line = line ? line + " " + word : word; }
    });
    head.push(line);
    var above = (head.length + 0.7) * size * 1.35, below = (lines.length + 0.6) * size;
    copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
    copy.setAttribute("viewBox", [box.x, box.y - above, box.width, box.height + above + below].join(" "));
    copy.setAttribute("width", Math.round(box.width * 2));
    copy.setAttribute("height", Math.round((box.height + above + below) * 2));
    copy.setAttribute("font-family", "sans-serif");
    ["class", "style", "role", "aria-label", "aria-labelledby"].forEach(function (name) { copy.removeAttribute(name); });
    function put(tag, attributes, text) {
      var e = document.createElementNS("http://www.w3.org/2000/svg", tag);
      Object.keys(attributes).forEach(function (key) { e.setAttribute(key, attributes[key]); });
      if (text) { e.textContent = text; }
      return e;
    }
    copy.insertBefore(put("rect", { x: box.x, y: box.y - above, width: box.width, height: box.height + above + below, fill: getComputedStyle(root).backgroundColor }), copy.firstChild);
    head.forEach(function (text, k) { copy.appendChild(put("text", { x: box.x + 4, y: box.y - above + (k + 1) * size * 1.35, "font-size": size * 1.1, "font-weight": 600, fill: body.color }, text)); });
    lines.forEach(function (text, k) { copy.appendChild(put("text", { x: box.x + 4, y: box.y + box.height + (k + 1) * size, "font-size": size * 0.75, fill: body.color }, text)); });
    return copy;
  }
  function saveDrawing(svg, name, title, source, kind) {
    var copy = drawing(svg, title, source), text = new XMLSerializer().serializeToString(copy);
    if (kind === "svg") { save(name + ".svg", new Blob([text], { type: "image/svg+xml" })); return; }
    var image = new Image(), canvas = document.createElement("canvas");
    canvas.width = Number(copy.getAttribute("width"));
    canvas.height = Number(copy.getAttribute("height"));
    image.onload = function () {
      canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
      canvas.toBlob(function (blob) { save(name + ".png", blob); }, "image/png");
    };
    image.src = "data:image/svg+xml;charset=utf-8," + encodeURIComponent(text);
  }
  function button(text, label, act) {
    var b = document.createElement("button");
    b.type = "button";
    b.className = "take";
    b.textContent = text;
    b.dataset.da = label[0];
    b.dataset.en = label[1];
    b.setAttribute("aria-label", pick(label));
    b.addEventListener("click", act);
    return b;
  }
  function fileName(text) { return (document.title.split(" \u2013 ")[0] + "-" + text).toLowerCase().replace(/\u00e6/g, "ae").replace(/\u00f8/g, "oe").replace(/\u00e5/g, "aa").replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, ""); }
  function titleOf(svg) {
    if (svg.dataset.title) { return svg.dataset.title; }
    var named = document.getElementById(svg.getAttribute("aria-labelledby") || "");
    var strong = named && (named.querySelector("strong") || named);
    var heading = document.querySelector("h1");
    return [heading && spoken(heading), strong && spoken(strong)].filter(Boolean).join(": ");
  }
  function wireTakingOut() {
    document.querySelectorAll(".scroll").forEach(function (frame) {
      if (!frame.querySelector("table") || frame.nextElementSibling && frame.nextElementSibling.classList.contains("takeout")) { return; }
      var p = document.createElement("p");
      p.className = "takeout noprint";
      p.appendChild(button("CSV", ["Hent tabellen som CSV: " + frame.dataset.da, "Take the table out as CSV: " + frame.dataset.en], function () {
        save(fileName(pick([frame.dataset.da, frame.dataset.en])) + ".csv", new Blob([tableText(frame.querySelector("table"))], { type: "text/csv;charset=utf-8" }));
      }));
      frame.after(p);
    });
    document.querySelectorAll("svg.chart, svg#map").forEach(function (svg) {
      var p = document.querySelector(".takeout[data-image='" + svg.id + "']");
      if (!p || !svg.id) { p = document.createElement("p"); p.className = "takeout noprint"; svg.after(p); }
      ["PNG", "SVG"].forEach(function (kind) {
        p.appendChild(button(kind, ["Hent tegningen som " + kind, "Take the drawing out as " + kind], function () {
          saveDrawing(svg, fileName(svg.id || "figur"), titleOf(svg), svg.dataset.source || "", kind.toLowerCase());
        }));
        p.appendChild(document.createTextNode(" "));
      });
    });
  }

  // What the address asks for after its #; one that somebody has cut short is read as far as it goes.
  function asked() {
    var text = location.hash.slice(1);
    try { return decodeURIComponent(text); } catch (error) { return text; }
  }

  window.KK = { asked: asked, labelCells: labelCells, find: find, pick: pick, number: number, day: day, english: english, onLanguage: function (f) { listeners.push(f); } };

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
    wireGoTo();
    listeners.push(labelCells);
    wireTakingOut();
    narrowMatrix();
    speak();
  });
})();
