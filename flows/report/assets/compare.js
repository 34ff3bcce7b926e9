// Any municipalities side by side; the choice is kept in the address, so that the page can be sent to a colleague.
document.addEventListener("DOMContentLoaded", function () {
  "use strict";
  var K = window.KK, D = window.KK_VALUES;
  var MOST = 8;
  var table = document.getElementById("compare"), list = document.getElementById("chosen");
  var input = document.getElementById("pick"), all = document.getElementById("all"), said = document.getElementById("said");
  var place = {};
  D.municipalities.forEach(function (m, i) { place[m[0]] = i; });
  var chosen = [];

  function name(i) { return D.municipalities[i][K.english() ? 2 : 1]; }
  function make(tag, text, className) {
    var e = document.createElement(tag);
    if (text !== undefined) { e.textContent = text; }
    if (className) { e.className = className; }
    return e;
  }
  function say(da, en) { said.textContent = K.english() ? en : da; }

  function recall() {
    var codes = decodeURIComponent(location.hash.slice(1)).split(",").filter(function (c) { return place[c] !== undefined; });
    chosen = codes.filter(function (c, i) { return codes.indexOf(c) === i; }).slice(0, MOST);
  }
  function remember() {
    try { history.replaceState(null, "", "#" + chosen.join(",")); } catch (error) { location.hash = chosen.join(","); }
  }
  function find(text) {
    var key = text.trim().toLocaleLowerCase("da-DK").replace(/ kommune$/, "");
    if (!key) { return null; }
    var exact = D.municipalities.filter(function (m) { return m[0] === key || [m[1], m[2]].some(function (n) { return n.toLocaleLowerCase("da-DK") === key; }); });
    if (exact.length) { return exact[0][0]; }
    var begins = D.municipalities.filter(function (m) { return [m[1], m[2]].some(function (n) { return n.toLocaleLowerCase("da-DK").indexOf(key) === 0; }); });
    return begins.length === 1 ? begins[0][0] : null;
  }

  function bar(value, it, period) {
    var known = it.v[period].filter(function (v) { return typeof v === "number"; });
    var low = Math.min.apply(null, known), high = Math.max.apply(null, known);
    var svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("class", "range");
    svg.setAttribute("viewBox", "0 0 100 6");
    svg.setAttribute("preserveAspectRatio", "none");
    svg.setAttribute("aria-hidden", "true");
    [["rect", { width: 100, height: 2, y: 2 }, "track"], ["rect", { width: 3, height: 6, x: high > low ? 97 * (value - low) / (high - low) : 48.5 }, "here"]].forEach(function (part) {
      var e = document.createElementNS("http://www.w3.org/2000/svg", part[0]);
      Object.keys(part[1]).forEach(function (k) { e.setAttribute(k, part[1][k]); });
      e.setAttribute("class", part[2]);
      svg.appendChild(e);
    });
    return svg;
  }
  function cell(value, it, period, n, mark) {
    var td = make("td", undefined, "num");
    if (typeof value !== "number") {
      td.appendChild(make("span", K.pick(D.statuses[value]) || K.pick(D.statuses.m), "status status-" + (value === "s" ? "suppressed" : "missing")));
      return td;
    }
    td.appendChild(document.createTextNode(K.number(value, it.decimals)));
    if (mark) { td.appendChild(document.createTextNode(" ")); td.appendChild(make("span", K.pick(D.statuses[mark]), "status")); }
    if (n !== null && n !== undefined) { td.appendChild(make("small", "n = " + K.number(n, 0))); }
    td.appendChild(bar(value, it, period));
    return td;
  }

  function drawChosen() {
    list.textContent = "";
    chosen.forEach(function (code) {
      var li = make("li"), button = make("button", "\u00d7");
      li.appendChild(document.createTextNode(name(place[code]) + " "));
      button.type = "button";
      button.setAttribute("aria-label", (K.english() ? "Remove " : "Fjern ") + name(place[code]));
      button.addEventListener("click", function () {
        chosen = chosen.filter(function (c) { return c !== code; });
        say(name(place[code]) + " er fjernet.", name(place[code]) + " is removed.");
        draw();
        remember();
        input.focus();
      });
      li.appendChild(button);
      list.appendChild(li);
    });
  }
  function draw() {
    drawChosen();
    table.textContent = "";
    if (!chosen.length) {
      table.createCaption().textContent = K.english() ? "Add a municipality above to begin." : "Tilf\u00f8j en kommune ovenfor for at begynde.";
      return;
    }
    var head = table.createTHead().insertRow();
    var titles = [K.english() ? "Indicator" : "Indikator"].concat(chosen.map(function (c) { return name(place[c]); }), [K.english() ? "The country" : "Hele landet"]);
    titles.forEach(function (title, k) {
      var th = make("th", undefined, k ? "num" : "");
      th.scope = "col";
      if (k && k <= chosen.length) {
        var a = make("a", title);
        a.href = "kommune/" + chosen[k - 1] + ".html" + (K.english() ? "?lang=en" : "");
        th.appendChild(a);
      } else { th.textContent = title; }
      head.appendChild(th);
    });
    var body = null, last = null;
    Object.keys(D.indicators).forEach(function (key) {
      var it = D.indicators[key], newest = it.periods.length - 1, d = window.KK_DEFINITIONS[key];
      if (!it.headline && !all.checked) { return; }
      if (it.dimension !== last) {
        last = it.dimension;
        body = table.appendChild(document.createElement("tbody"));
        var part = body.insertRow(), title = make("th", K.pick(D.dimensions[last]));
        part.className = "part";
        title.colSpan = titles.length;
        title.scope = "rowgroup";
        part.appendChild(title);
      }
      var row = body.insertRow(), th = make("th"), link = make("a", K.pick(d.label), "def");
      th.scope = "row";
      link.href = "metode.html" + (K.english() ? "?lang=en" : "") + "#" + key;
      link.dataset.i = key;
      th.appendChild(link);
      th.appendChild(make("small", K.pick(it.unit) + ", " + K.pick(it.names[newest])));
      row.appendChild(th);
      chosen.forEach(function (code) {
        var i = place[code];
        row.appendChild(cell(it.v[newest][i], it, newest, it.n ? it.n[newest][i] : null, it.marked[it.periods[newest] + "/" + code]));
      });
      row.appendChild(cell(it.nation[newest], it, newest, null, null)).classList.add("soft");
    });
  }

  document.getElementById("chooser").addEventListener("submit", function (e) {
    e.preventDefault();
    var code = find(input.value);
    if (!code) { say("Ingen kommune hedder \u00ab" + input.value + "\u00bb; v\u00e6lg fra listen.", "No municipality is called \u201c" + input.value + "\u201d; choose from the list."); return; }
    if (chosen.indexOf(code) >= 0) { say(name(place[code]) + " er valgt i forvejen.", name(place[code]) + " is already chosen."); return; }
    if (chosen.length >= MOST) { say("H\u00f8jst " + MOST + " kommuner ad gangen; fjern en f\u00f8rst.", "At most " + MOST + " municipalities at a time; remove one first."); return; }
    chosen.push(code);
    input.value = "";
    say(name(place[code]) + " er tilf\u00f8jet.", name(place[code]) + " is added.");
    draw();
    remember();
  });
  all.addEventListener("change", draw);
  window.addEventListener("hashchange", function () { recall(); draw(); });
  recall();
  K.onLanguage(function () {
    var names = document.getElementById("names");
    names.textContent = "";
    D.municipalities.forEach(function (m, i) { var o = document.createElement("option"); o.value = name(i); names.appendChild(o); });
    draw();
  });
});
