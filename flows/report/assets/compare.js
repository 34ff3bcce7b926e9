// Any municipalities or groups side by side; the view is kept in the address, so that the page can be sent to a colleague.
document.addEventListener("DOMContentLoaded", function () {
  "use strict";
  var K = window.KK, D = window.KK_VALUES;
  var table = document.getElementById("compare"), list = document.getElementById("chosen");
  var input = document.getElementById("pick"), group = document.getElementById("group"), said = document.getElementById("said");
  var all = document.getElementById("all"), trend = document.getElementById("trend");
  var place = {};
  D.municipalities.forEach(function (m, i) { place[m[0]] = i; });
  var chosen = [];

  function en() { return K.english(); }
  function name(i) { return D.municipalities[i][en() ? 2 : 1]; }
  function make(tag, text, className) {
    var e = document.createElement(tag);
    if (text !== undefined) { e.textContent = text; }
    if (className) { e.className = className; }
    return e;
  }
  function say(da, english) { said.textContent = en() ? english : da; }

  // --- groups: the participants, peers of those chosen, regions, official groups ---
  function codesWhere(test) { return D.municipalities.filter(test).map(function (m) { return m[0]; }); }
  function groups() {
    var out = [["participants", en() ? "The participants in the programme" : "Deltagerne i programmet", function () { return codesWhere(function (m) { return m[5]; }); }]];
    if (Object.keys(D.peers).some(function (code) { return D.peers[code].length; })) {
      out.push(["peers", en() ? "Peers of those chosen" : "De valgtes sammenligningskommuner", function () {
        return chosen.reduce(function (sum, code) { return sum.concat(D.peers[code] || []); }, []);
      }]);
    }
    [3, en() ? 7 : 6].forEach(function (column, k) {
      var seen = {};
      D.municipalities.forEach(function (m) { if (m[column]) { seen[m[column]] = true; } });
      Object.keys(seen).sort().forEach(function (value) { out.push([(k ? "group-" : "region-") + value, value, function () { return codesWhere(function (m) { return m[column] === value; }); }]); });
    });
    out.push(["everybody", en() ? "All municipalities" : "Alle kommuner", function () { return codesWhere(function () { return true; }); }]);
    return out;
  }
  function fillGroups() {
    group.textContent = "";
    [["", en() ? "Choose …" : "V\u00e6lg …"]].concat(groups()).forEach(function (g) {
      var o = make("option", g[1]);
      o.value = g[0];
      group.appendChild(o);
    });
  }
  function add(codes) {
    var fresh = codes.filter(function (code, k) { return place[code] !== undefined && chosen.indexOf(code) < 0 && codes.indexOf(code) === k; });
    chosen = chosen.concat(fresh);
    return fresh.length;
  }

  function recall() {
    var parts = K.asked().split("&");
    chosen = [];
    (parts[0] || "").split(",").forEach(function (token) {
      var named = token.indexOf("group:") === 0 && groups().filter(function (g) { return g[0] === token.slice(6); })[0];
      add(named ? named[2]() : [token]);
    });
    all.checked = parts.indexOf("all") > 0;
    trend.checked = parts.indexOf("trend") > 0;
  }
  function remember() {
    var hash = "#" + [chosen.join(",")].concat(all.checked ? "all" : [], trend.checked ? "trend" : []).join("&");
    try { history.replaceState(null, "", hash); } catch (error) { location.hash = hash; }
  }

  function shape(kind, parts) {
    var svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("class", kind);
    svg.setAttribute("aria-hidden", "true");
    parts.forEach(function (part) {
      var e = document.createElementNS("http://www.w3.org/2000/svg", part[0]);
      Object.keys(part[1]).forEach(function (k) { e.setAttribute(k, part[1][k]); });
      svg.appendChild(e);
    });
    return svg;
  }
  function bar(value, it, period) {
    var known = it.v[period].filter(function (v) { return typeof v === "number"; });
    var low = Math.min.apply(null, known), high = Math.max.apply(null, known);
    var svg = shape("range", [["rect", { width: 100, height: 2, y: 2, "class": "track" }], ["rect", { width: 3, height: 6, x: high > low ? 97 * (value - low) / (high - low) : 48.5, "class": "here" }]]);
    svg.setAttribute("viewBox", "0 0 100 6");
    svg.setAttribute("preserveAspectRatio", "none");
    return svg;
  }
  function line(values) {
    var known = values.filter(function (v) { return typeof v === "number"; });
    if (known.length < 3) { return null; }
    var low = Math.min.apply(null, known), spread = (Math.max.apply(null, known) - low) || 1, path = "", pen = "M", last = null;
    values.forEach(function (v, k) {
      if (typeof v !== "number") { pen = "M"; return; }
      last = [3 + k * 78 / (values.length - 1), 19 - (v - low) / spread * 16];
      path += pen + last[0].toFixed(1) + "," + last[1].toFixed(1);
      pen = "L";
    });
    var svg = shape("spark", [["path", { d: path }], ["circle", { cx: last[0].toFixed(1), cy: last[1].toFixed(1), r: 2.2 }]]);
    svg.setAttribute("viewBox", "0 0 84 22");
    svg.setAttribute("width", "84");
    svg.setAttribute("height", "22");
    return svg;
  }
  function figure(value, decimals, signed) {
    var e = make("data", K.number(value, decimals, signed));
    e.value = String(value);
    return e;
  }
  function absent(td, letter) {
    td.appendChild(make("span", K.pick(D.statuses[letter]) || K.pick(D.statuses.m), "status status-" + (letter === "s" ? "suppressed" : "missing")));
    return td;
  }
  function cell(it, period, values, n, mark, ranged) {
    var td = make("td", undefined, "num"), value = values[period];
    if (typeof value !== "number") { return absent(td, value); }
    td.appendChild(figure(value, it.decimals));
    if (mark) { td.appendChild(document.createTextNode(" ")); td.appendChild(make("span", K.pick(D.statuses[mark]), "status")); }
    if (n !== null && n !== undefined) { td.appendChild(make("small", "n = " + K.number(n, 0))).dataset.n = n; }
    if (ranged) { td.appendChild(bar(value, it, period)); }
    var drawn = trend.checked && line(values);
    if (drawn) { td.appendChild(drawn); }
    return td;
  }
  function estimate(it, row) {
    var td = make("td", undefined, "num");
    if (!row || (!it.groups[row[0]] && row[0] !== "j")) { return absent(td, row ? row[0] : "m"); }
    td.appendChild(it.groups[row[0]] ? make("span", K.pick(it.groups[row[0]]), "badge a-" + row[0]) : make("span", K.pick(D.statuses.j), "badge a-none status"));
    if (row[1] !== null) {
      var small = make("small", K.number(row[1], it.decimals, true) + (row[2] === null ? "" : " [" + K.number(row[2], it.decimals, true) + "; " + K.number(row[3], it.decimals, true) + "]"));
      td.appendChild(small);
    }
    if (row[7] !== null) { td.appendChild(make("small", (en() ? "rank " : "plads ") + row[7] + "\u2013" + row[8])); }
    if (row[4] !== null && row[4] !== undefined) { td.appendChild(make("small", "n = " + K.number(row[4], 0))).dataset.n = row[4]; }
    return td;
  }

  function drawChosen() {
    list.textContent = "";
    chosen.forEach(function (code) {
      var li = make("li"), button = make("button", "\u00d7");
      li.appendChild(document.createTextNode(name(place[code]) + " "));
      button.type = "button";
      button.setAttribute("aria-label", (en() ? "Remove " : "Fjern ") + name(place[code]));
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
  function part(title, width) {
    var body = table.appendChild(document.createElement("tbody")), row = body.insertRow(), th = make("th", title);
    row.className = "part";
    th.colSpan = width;
    th.scope = "rowgroup";
    row.appendChild(th);
    return body;
  }
  function heading(row, label, key, small, anchor) {
    var th = make("th"), link = make("a", label, key ? "def" : "");
    th.scope = "row";
    link.href = "metode.html" + (en() ? "?lang=en" : "") + "#" + anchor;
    if (key) { link.dataset.i = key; }
    th.appendChild(link);
    th.appendChild(make("small", small));
    row.appendChild(th);
  }
  // The mean of the figures as the database keeps them (ten thousandths), rounded once from its four decimals.
  function mean(key, decimals) {
    var known = chosen.map(function (code) { return window.KK_EXACT[key][place[code]]; }).filter(function (v) { return v !== null; });
    if (!known.length) { return null; }
    function away(x) { return Math.sign(x) * Math.floor(Math.abs(x) + 0.5); }
    var kept = away(known.reduce(function (a, b) { return a + b; }, 0) / known.length);
    return away(kept / Math.pow(10, 4 - decimals)) / Math.pow(10, decimals);
  }
  function draw() {
    drawChosen();
    table.textContent = "";
    document.querySelectorAll("#compare-scroll + .takeout").forEach(function (p) { p.hidden = !chosen.length; });
    if (!chosen.length) {
      table.createCaption().textContent = en() ? "Add a municipality or a group above to begin." : "Tilf\u00f8j en kommune eller en gruppe ovenfor for at begynde.";
      return;
    }
    var many = chosen.length > 1;
    var head = table.createTHead().insertRow();
    var titles = [en() ? "Indicator" : "Indikator"].concat(chosen.map(function (c) { return name(place[c]); }), many ? [en() ? "Mean of those chosen" : "Gennemsnit af de valgte"] : [], [en() ? "The country" : "Hele landet"]);
    titles.forEach(function (title, k) {
      var th = make("th", undefined, k ? "num" : "first");
      th.scope = "col";
      if (k && k <= chosen.length) {
        var a = make("a", title);
        a.href = "kommune/" + chosen[k - 1] + ".html" + (en() ? "?lang=en" : "");
        th.appendChild(a);
      } else { th.textContent = title; }
      head.appendChild(th);
    });
    var outcomes = Object.keys(D.outcomes), body = null, last = null;
    if (outcomes.length) { body = part(en() ? "Expected and observed" : "Forventet og faktisk", titles.length); }
    outcomes.forEach(function (key) {
      var it = D.outcomes[key], row = body.insertRow();
      heading(row, K.pick(it.label), null, K.pick(it.gap) + ", " + K.pick(it.name), "expected");
      chosen.forEach(function (code) { row.appendChild(estimate(it, it.v[place[code]])); });
      if (many) { row.appendChild(make("td", "\u2013", "num soft")); }
      row.appendChild(make("td", "\u2013", "num soft"));
    });
    Object.keys(D.indicators).forEach(function (key) {
      var it = D.indicators[key], newest = it.periods.length - 1, d = window.KK_DEFINITIONS[key];
      if (!it.headline && !all.checked) { return; }
      if (it.dimension !== last) { last = it.dimension; body = part(K.pick(D.dimensions[last]), titles.length); }
      var row = body.insertRow();
      heading(row, K.pick(d.label), key, K.pick(it.unit) + ", " + K.pick(it.names[newest]), key);
      chosen.forEach(function (code) {
        var i = place[code], values = it.v.map(function (column) { return column[i]; });
        row.appendChild(cell(it, newest, values, it.n ? D.counts[it.n[newest]][i] : null, it.marked[it.periods[newest]] || it.marked[it.periods[newest] + "/" + code], true));
      });
      if (many) {
        var middle = mean(key, it.decimals), td = make("td", undefined, "num soft");
        if (middle === null) { td.textContent = "\u2013"; } else { td.appendChild(figure(middle, it.decimals)); }
        row.appendChild(td);
      }
      if (!it.compiled) {
        var none = make("td", undefined, "num");
        none.appendChild(make("span", en() ? "not compiled" : "opg\u00f8res ikke", "status"));
        row.appendChild(none);
      } else { row.appendChild(cell(it, newest, it.nation, null, null, false)).classList.add("soft"); }
    });
    K.labelCells();
  }

  document.getElementById("chooser").addEventListener("submit", function (e) {
    e.preventDefault();
    var found = K.find(input.value);
    if (!found.length) { say("Ingen kommune hedder \u00bb" + input.value + "\u00ab; v\u00e6lg fra listen.", "No municipality is called \u201c" + input.value + "\u201d; choose from the list."); return; }
    if (found.length > 1) { say(found.length + " kommuner passer; skriv mere.", found.length + " municipalities fit; write more."); return; }
    if (!add(found)) { say(name(place[found[0]]) + " er valgt i forvejen.", name(place[found[0]]) + " is already chosen."); return; }
    input.value = "";
    say(name(place[found[0]]) + " er tilf\u00f8jet.", name(place[found[0]]) + " is added.");
    draw();
    remember();
  });
  group.addEventListener("change", function () {
    var picked = groups().filter(function (g) { return g[0] === group.value; })[0];
    if (!picked) { return; }
    var count = add(picked[2]());
    group.value = "";
    say(count + " kommuner er tilf\u00f8jet.", count + " municipalities are added.");
    draw();
    remember();
  });
  document.getElementById("clear").addEventListener("click", function () { chosen = []; say("", ""); draw(); remember(); });
  [all, trend].forEach(function (e) { e.addEventListener("change", function () { draw(); remember(); }); });
  window.addEventListener("hashchange", function () { recall(); draw(); });
  recall();
  K.onLanguage(function () {
    var names = document.getElementById("names");
    names.textContent = "";
    D.municipalities.forEach(function (m, i) { var o = document.createElement("option"); o.value = name(i); names.appendChild(o); });
    fillGroups();
    draw();
  });
});
