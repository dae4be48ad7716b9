// What the address says: everything that a view shows, so that whoever gets it sees the same.

/** The view, what follows it, and its settings. */
export function parse(hash = location.hash) {
  const [path, query = ""] = hash.replace(/^#\/?/, "").split("?");
  const [view, ...rest] = path.split("/").map(decoded);
  return { view, rest, params: new URLSearchParams(query) };
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // somebody cut it in the middle of a letter
  }
}

/** The address of a view; settings that are null, false or empty are left out. */
export function to(view, rest = "", settings = {}) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(settings)) {
    if (value !== null && value !== undefined && value !== false && value !== "") query.set(name, value === true ? "1" : value);
  }
  const text = query.toString().replaceAll("%2C", ",").replaceAll("%3A", ":").replaceAll("%7E", "~");
  return `#/${view}${rest === "" ? "" : `/${rest}`}${text ? `?${text}` : ""}`;
}

/** A name within a setting of several: what parts them is spelled out. */
export function spelled(name) {
  return name.replace(/[%,;~]/g, (letter) => `%${letter.charCodeAt(0).toString(16).toUpperCase()}`);
}

export function unspelled(text) {
  return text.replace(/%([0-9A-F]{2})/g, (_, code) => String.fromCharCode(parseInt(code, 16)));
}

/** Write settings into the address without going anywhere. */
export function keep(view, rest, settings) {
  history.replaceState(null, "", to(view, rest, settings));
}
