// The map of the front page: choose indicator, period and form; one tab stop, arrow keys move, Enter opens the profile.
document.addEventListener("DOMContentLoaded", function () {
  "use strict";
  var K = window.KK, D = window.KK_VALUES;
  var map = document.getElementById("map"), legend = document.getElementById("legend"), readout = document.getElementById("readout");
  var indicator = document.getElementById("indicator"), year = document.getElementById("year"), box = document.getElementById("map-find");
  var land = document.getElementById("as-land"), tiles = document.getElementById("as-tiles"), grid = document.getElementById("mapgrid");
  var areas = Array.from(map.querySelectorAll("a.area"));
  var place = {};
  D.municipalities.forEach(function (m, i) { place[m[0]] = i; });
  var FIRST = "employment_rate_non_western_pct", TILE = [62, 38];
  var state = { id: D.indicators[FIRST] ? FIRST : Object.keys(D.indicators)[0], at: null, tiles: false };
  var current = null, touched = null;

  function names(i) { return D.municipalities[i][K.english() ? 2 : 1]; }
  function isOutcome() { return state.id.indexOf("expected:") === 0; }
  function chosen() { return isOutcome() ? D.outcomes[state.id.slice(9)] : D.indicators[state.id]; }
  function definition() { return window.KK_DEFINITIONS[isOutcome() ? state.id.slice(9) : state.id]; }
  function at() { return state.at === null ? chosen().periods.length - 1 : state.at; }
  function status(letter) { return K.pick(D.statuses[letter]) || letter; }
  function say(da, en) { return K.english() ? en : da; }

  function classOf(value, it) {
    var c = 0;
    while (c < it.breaks.length && value >= it.breaks[c]) { c += 1; }
    return c;
  }
  function scaled(c, count) { return count <= 1 ? 2 : Math.round(c * 4 / (count - 1)); }

  // The words on an estimate: difference with interval, interval of ranks, and what was observed and expected.
  function judged(it, row) {
    var out = [];
    if (row[1] !== null) {
      var text = K.number(row[1], it.decimals, true) + " " + K.pick(it.gap);
      if (row[2] !== null) { text += " [" + K.number(row[2], it.decimals, true) + "; " + K.number(row[3], it.decimals, true) + "]"; }
      out.push(text);
    }
    if (row[5] !== null) { out.push(say("faktisk ", "observed ") + K.number(row[5], it.decimals) + say(", forventet ", ", expected ") + K.number(row[6], it.decimals) + " " + K.pick(it.unit)); }
    if (row[7] !== null) { out.push(say("plads ", "rank ") + row[7] + "\u2013" + row[8] + say(" af ", " of ") + it.count); }
    return out;
  }
  // What one municipality shows: its class on the map, its words and further lines.
  function look(i) {
    var it = chosen();
    if (isOutcome()) {
      var row = it.v[i];
      if (!row || !it.groups[row[0]]) { return { kind: row && row[0] === "s" ? "s" : "m", text: status(row ? row[0] : "m"), n: row && row[0] === "j" ? row[4] : null, more: row && row[0] === "j" ? judged(it, row) : [] }; }
      return { kind: row[0] === "too_small" ? "m" : "a-" + row[0], text: K.pick(it.groups[row[0]]), n: row[4], more: judged(it, row) };
    }
    var value = it.v[at()][i];
    if (typeof value === "string") { return { kind: value === "s" ? "s" : "m", text: status(value), n: null, more: [] }; }
    var marked = it.marked[it.periods[at()]] || it.marked[it.periods[at()] + "/" + D.municipalities[i][0]];
    var outcome = D.outcomes[state.id], more = [], n = it.n ? D.counts[it.n[at()]][i] : null;
    if (outcome && outcome.period === it.periods[at()] && outcome.v[i] && outcome.groups[outcome.v[i][0]]) {
      more = [K.pick(outcome.groups[outcome.v[i][0]])].concat(judged(outcome, outcome.v[i]));
      n = n === null ? outcome.v[i][4] : n;
    }
    return {
      kind: "q" + scaled(classOf(value, it), it.breaks.length + 1),
      text: K.number(value, it.decimals) + " " + K.pick(it.unit) + (marked ? " (" + status(marked) + ")" : ""),
      n: n, more: more
    };
  }
  function source() {
    var d = definition();
    return d ? [K.pick(d.producer), d.table].filter(Boolean).join(", ") : say("egen beregning", "own calculation");
  }
  function when() { return isOutcome() ? K.pick(chosen().name) : K.pick(chosen().names[at()]); }
  function nOf(seen) { return seen.n !== null && seen.n !== undefined ? "n = " + K.number(seen.n, 0) : null; }

  function paint() {
    areas.forEach(function (a) {
      var i = place[a.dataset.c], seen = look(i);
      var hit = a.classList.contains("hit");
      a.setAttribute("class", "area " + seen.kind + (D.municipalities[i][5] ? " takes-part" : "") + (hit ? " hit" : ""));
      a.querySelectorAll("path").forEach(function (path) { path.setAttribute("fill", seen.kind === "s" ? "url(#p-s10)" : "url(#p-m10)"); });
      a.setAttribute("aria-label", [names(i) + ": " + seen.text].concat(seen.more, nOf(seen) || [], when()).join(", "));
    });
    drawLegend();
    if (current) { read(current); }
  }
  function item(kind, text, count) {
    var li = document.createElement("li");
    var swatch = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    swatch.setAttribute("width", "22");
    swatch.setAttribute("height", "16");
    swatch.setAttribute("aria-hidden", "true");
    var rect = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    rect.setAttribute("width", "22");
    rect.setAttribute("height", "16");
    rect.setAttribute("fill", kind === "s" ? "url(#p-s)" : "url(#p-m)");
    swatch.setAttribute("class", "area " + kind);
    swatch.appendChild(rect);
    li.appendChild(swatch);
    li.appendChild(document.createTextNode(" " + text + " "));
    var small = document.createElement("span");
    small.className = "soft";
    small.textContent = "(" + count + ")";
    li.appendChild(small);
    return li;
  }
  function drawLegend() {
    var it = chosen(), counts = {};
    areas.forEach(function (a) { var k = look(place[a.dataset.c]).kind; counts[k] = (counts[k] || 0) + 1; });
    legend.textContent = "";
    var title = document.createElement("p");
    title.className = "legend-title";
    title.textContent = (isOutcome() ? K.pick(it.label) : K.pick(definition().label)) + ", " + when();
    legend.appendChild(title);
    var list = document.createElement("ul");
    if (isOutcome()) {
      ["better", "as_expected", "worse"].forEach(function (g) { list.appendChild(item("a-" + g, K.pick(it.groups[g]), counts["a-" + g] || 0)); });
    } else {
      for (var c = 0; c <= it.breaks.length; c += 1) {
        var kind = "q" + scaled(c, it.breaks.length + 1);
        var low = c ? K.number(it.breaks[c - 1], it.decimals) : null;
        var high = c < it.breaks.length ? K.number(it.breaks[c], it.decimals) : null;
        var text = low === null && high === null ? say("alle v\u00e6rdier", "all values")
          : low === null ? say("under ", "below ") + high
          : high === null ? low + say(" og derover", " and above")
          : low + say(" til under ", " to below ") + high;
        list.appendChild(item(kind, text, counts[kind] || 0));
      }
    }
    if (counts.s) { list.appendChild(item("s", status("s"), counts.s)); }
    if (counts.m) { list.appendChild(item("m", isOutcome() ? K.pick(it.groups.too_small) + " / " + status("m") : status("m"), counts.m)); }
    legend.appendChild(list);
    var unit = document.createElement("p");
    unit.className = "soft small";
    unit.textContent = K.pick(isOutcome() ? it.gap : it.unit);
    legend.appendChild(unit);
    document.getElementById("map-classes").hidden = isOutcome();
    var d = definition(), words = document.getElementById("map-definition");
    words.textContent = d ? K.pick(d.text) + " " : "";
    var link = document.createElement("a");
    link.href = "metode.html" + (K.english() ? "?lang=en" : "") + "#" + (isOutcome() ? "expected" : state.id);
    link.textContent = say("Definition og kilde", "Definition and source");
    words.appendChild(link);
    map.dataset.title = title.textContent + " (" + unit.textContent + ")";
    map.dataset.source = source();
  }
  function read(a) {
    var i = place[a.dataset.c], seen = look(i);
    readout.textContent = "";
    function add(tag, text, className) {
      var e = document.createElement(tag);
      e.textContent = text;
      if (className) { e.className = className; }
      readout.appendChild(e);
      return e;
    }
    add("strong", names(i));
    add("span", seen.text, "value");
    seen.more.forEach(function (line) { add("span", line); });
    add("span", [nOf(seen), when(), source()].filter(Boolean).join(" \u00b7 "), "soft small");
    if (touched === a) {
      var link = add("a", say("\u00c5bn profilen", "Open the profile"), "button");
      link.href = a.getAttribute("href");
    }
    areas.forEach(function (other) { other.classList.toggle("here", other === a); });
    current = a;
  }

  function option(value, text, into) {
    var o = document.createElement("option");
    o.value = value;
    o.textContent = text;
    into.appendChild(o);
  }
  function fill() {
    indicator.textContent = "";
    var groups = {};
    if (Object.keys(D.outcomes).length) {
      var g = document.createElement("optgroup");
      g.label = say("Forventet og faktisk", "Expected and observed");
      Object.keys(D.outcomes).filter(function (key) { return D.outcomes[key].count; }).forEach(function (key) { option("expected:" + key, K.pick(D.outcomes[key].label), g); });
      indicator.appendChild(g);
    }
    Object.keys(D.indicators).forEach(function (key) {
      var dim = D.indicators[key].dimension;
      if (!groups[dim]) {
        groups[dim] = document.createElement("optgroup");
        groups[dim].label = K.pick(D.dimensions[dim]);
        indicator.appendChild(groups[dim]);
      }
      option(key, K.pick(window.KK_DEFINITIONS[key].label), groups[dim]);
    });
    indicator.value = state.id;
    fillYears();
  }
  function fillYears() {
    year.textContent = "";
    if (isOutcome()) { option("0", K.pick(chosen().name), year); year.disabled = true; return; }
    chosen().names.forEach(function (name, i) { option(String(i), K.pick(name), year); });
    year.value = String(at());
    year.disabled = false;
  }
  function remember() {
    var parts = [state.id, state.at === null ? "" : chosen().periods[state.at], state.tiles ? "tiles" : ""];
    while (parts[parts.length - 1] === "") { parts.pop(); }
    var hash = "#" + parts.join("/");
    try { history.replaceState(null, "", hash); } catch (error) { location.hash = hash; }
  }
  function recall() {
    var parts = K.asked().split("/");
    var known = D.indicators[parts[0]] || (parts[0].indexOf("expected:") === 0 && D.outcomes[parts[0].slice(9)]);
    if (!known) { return; }
    state.id = parts[0];
    state.tiles = parts[2] === "tiles";
    var found = D.indicators[parts[0]] ? known.periods.indexOf(parts[1]) : -1;
    state.at = found >= 0 ? found : null;
  }

  // The same links as a map or as tiles of equal size.
  var middles = areas.map(function (a) { return [a.dataset.x, a.dataset.y]; });
  var shapes = areas.map(function (a) { return a.firstElementChild.getAttribute("d"); });
  function form() {
    map.setAttribute("class", "map " + (state.tiles ? "tiles" : "land"));
    grid.classList.toggle("wide", state.tiles);
    map.setAttribute("viewBox", state.tiles ? map.dataset.tiles : map.dataset.land);
    land.setAttribute("aria-pressed", String(!state.tiles));
    tiles.setAttribute("aria-pressed", String(state.tiles));
    areas.forEach(function (a, k) {
      var t = a.dataset.t.split(",").map(Number), x = t[0] * TILE[0], y = t[1] * TILE[1];
      a.firstElementChild.setAttribute("d", state.tiles ? "M" + (x * 10 + 10) + "," + (y * 10 + 10) + "h600v360h-600Z" : shapes[k]);
      a.dataset.x = state.tiles ? x + TILE[0] / 2 : middles[k][0];
      a.dataset.y = state.tiles ? y + TILE[1] / 2 : middles[k][1];
    });
  }

  // One tab stop; arrow keys go to the nearest municipality in that direction.
  function go(from, dx, dy) {
    var x = Number(from.dataset.x), y = Number(from.dataset.y), best = null, least = Infinity;
    areas.forEach(function (a) {
      var ax = Number(a.dataset.x) - x, ay = Number(a.dataset.y) - y;
      var along = ax * dx + ay * dy, across = Math.abs(ax * dy) + Math.abs(ay * dx);
      if (a !== from && along > 0.5 && along >= across * 0.5) {
        var cost = along + 2 * across;
        if (cost < least) { least = cost; best = a; }
      }
    });
    if (best) { rove(best); best.focus(); }
  }
  function rove(a) {
    areas.forEach(function (other) { other.setAttribute("tabindex", other === a ? "0" : "-1"); });
  }
  var KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  map.addEventListener("keydown", function (e) {
    var a = e.target.closest("a.area");
    if (!a) { return; }
    if (KEYS[e.key]) { e.preventDefault(); go(a, KEYS[e.key][0], KEYS[e.key][1]); }
    if (e.key === "Home" || e.key === "End") {
      e.preventDefault();
      var to = areas[e.key === "Home" ? 0 : areas.length - 1];
      rove(to);
      to.focus();
    }
  });
  ["mouseover", "focusin"].forEach(function (name) {
    // On the box around the map: an SVG that listens for focus becomes a tab stop of its own.
    map.parentNode.addEventListener(name, function (e) {
      var a = e.target.closest("a.area");
      if (a) { read(a); if (name === "focusin") { rove(a); } }
    });
  });
  // A finger cannot point: the first tap shows the figures, the second (or the link) opens the profile.
  var finger = false;
  map.addEventListener("pointerdown", function (e) { finger = e.pointerType === "touch"; });
  map.addEventListener("click", function (e) {
    var a = e.target.closest("a.area");
    if (!a || !finger || touched === a) { return; }
    e.preventDefault();
    touched = a;
    read(a);
  });
  function search() {
    var found = box.value.trim() ? K.find(box.value) : [];
    areas.forEach(function (a) { a.classList.toggle("hit", found.indexOf(a.dataset.c) >= 0); });
    if (found.length === 1) { read(areas.filter(function (a) { return a.dataset.c === found[0]; })[0]); }
    return found;
  }
  box.addEventListener("input", search);
  box.addEventListener("keydown", function (e) {
    if (e.key !== "Enter") { return; }
    e.preventDefault();
    var found = search();
    if (found.length) {
      var a = areas.filter(function (other) { return other.dataset.c === found[0]; })[0];
      rove(a);
      a.focus();
    }
  });
  indicator.addEventListener("change", function () { state.id = indicator.value; state.at = null; fillYears(); remember(); paint(); });
  year.addEventListener("change", function () { state.at = Number(year.value); remember(); paint(); });
  [[land, false], [tiles, true]].forEach(function (pair) {
    pair[0].addEventListener("click", function () { state.tiles = pair[1]; form(); remember(); });
  });
  window.addEventListener("hashchange", function () { recall(); form(); fill(); paint(); });

  recall();
  form();
  rove(areas[0]);
  [indicator, box, land, tiles].forEach(function (e) { e.disabled = false; });
  K.onLanguage(function () { fill(); paint(); });
});
