import {
  formatLosslessJson,
  type LosslessJson,
  parseLosslessJson,
} from "../exchange/lossless_json.ts";
import { createSecretReplacer } from "./known_secrets.ts";
import { kindOfName, type Pseudonyms, type SecretKind } from "./pseudonyms.ts";

/** Takes out of texts what nobody may see. */
export interface TextRedactor {
  /** JSON, or free text: what has the form of a secret, or stands behind the name of one. */
  text(text: string): string;
  /** Path and query; also what is escaped in them. */
  target(target: string): string;
  /** `a=1&b=2`, as in a query or a form. */
  pairs(text: string): string;
}

/** How deep JSON inside of texts of JSON, and escapes of escapes, are looked into. */
const MAX_LAYERS = 3;

/**
 * @param known texts that are secrets wherever they stand, with their pseudonyms
 */
export function createTextRedactor(
  pseudonym: Pseudonyms,
  known: ReadonlyMap<string, string>,
): TextRedactor {
  // All in one pass: a pseudonym must not be looked into again.
  const withoutKnown = createSecretReplacer(known);
  const byForm = (text: string): string => {
    const clean = withoutKnown(text)
      .replaceAll(JWT, (found) => pseudonym("token", found))
      .replaceAll(
        /\b(Bearer|Basic|Digest|Negotiate)([ \t]+)([\w.~+/=-]{6,})/gi,
        (_, scheme, space, token) => scheme + space + pseudonym("token", token),
      )
      .replaceAll(/\$2[abxy]?\$\d\d\$[./A-Za-z0-9]{10,}/g, (found) => pseudonym("hash", found))
      .replaceAll(/\$argon2[\w$=,+/.-]{10,}/g, (found) => pseudonym("hash", found));
    return byName(withoutEmails(clean, pseudonym), pseudonym);
  };

  const inside = (value: LosslessJson, kind: SecretKind): LosslessJson => {
    switch (value.kind) {
      case "object":
        return {
          kind: "object",
          entries: value.entries.map(([key, item]) => [byForm(key), inside(item, kind)]),
        };
      case "list":
        return { kind: "list", items: value.items.map((item) => inside(item, kind)) };
      case "string":
        return { kind: "string", value: pseudonym(kind, value.value) };
      case "plain":
        return value.text === "null" ? value : {
          kind: "string",
          value: pseudonym(kind, value.text),
        };
    }
  };

  const json = (value: LosslessJson, layer: number): LosslessJson => {
    switch (value.kind) {
      case "object":
        return {
          kind: "object",
          entries: value.entries.map(([key, item]) => {
            const kind = kindOfName(key);
            return [byForm(key), kind === undefined ? json(item, layer) : inside(item, kind)];
          }),
        };
      case "list":
        return { kind: "list", items: value.items.map((item) => json(item, layer)) };
      case "string":
        return { kind: "string", value: anyText(value.value, layer + 1) };
      case "plain": {
        // A number that a field has named as a password, say.
        const name = known.get(value.text);
        return name === undefined ? value : { kind: "string", value: name };
      }
    }
  };

  const anyText = (text: string, layer: number): string => {
    const document = layer <= MAX_LAYERS && /^\s*[[{"]/.test(text)
      ? parseLosslessJson(text)
      : undefined;
    if (document === undefined) return byForm(text);
    const clean = formatLosslessJson(json(document, layer));
    // What holds no secret keeps its spaces and escapes.
    return clean === formatLosslessJson(document) ? text : clean;
  };

  /** A part of an address: what is found under its escapes has it written anew. */
  const escaped = (part: string): string => {
    let plain = part;
    for (let layer = 0; layer < MAX_LAYERS; layer++) {
      const clean = anyText(plain, 1);
      if (clean !== plain) return encodeURIComponent(clean);
      const next = unescaped(plain);
      if (next === plain) return part;
      plain = next;
    }
    return anyText(plain, 1) === plain ? part : encodeURIComponent(anyText(plain, 1));
  };

  const pairs = (text: string): string =>
    text.split("&").map((pair) => {
      const at = pair.indexOf("=");
      if (at === -1) return escaped(pair);
      const [name, value] = [pair.slice(0, at), pair.slice(at + 1)];
      const kind = kindOfName(unescaped(name));
      const clean = kind === undefined ? escaped(value) : pseudonym(kind, unescaped(value));
      return `${escaped(name)}=${clean}`;
    }).join("&");

  return {
    text: (text) => anyText(text, 1),
    pairs,
    target: (target) => {
      const at = target.indexOf("?");
      const path = at === -1 ? target : target.slice(0, at);
      const clean = path.split("/").map(escaped).join("/");
      return at === -1 ? clean : `${clean}?${pairs(target.slice(at + 1))}`;
    },
  };
}

/** Without escapes, as far as they are whole; a plus is a space in a form. */
function unescaped(text: string): string {
  const spaced = text.replaceAll("+", " ");
  try {
    return decodeURIComponent(spaced);
  } catch {
    return spaced.replaceAll(
      /%([0-7][0-9a-f])/gi,
      (_, code) => String.fromCharCode(Number.parseInt(code, 16)),
    );
  }
}

const LOCAL_PART = /[^\s"'<>()[\]{},;:=&?/\\@|]/u;
const HOST_PART = /[\p{L}\p{N}.-]/u;
const HOST =
  /^[\p{L}\p{N}-]+(?:\.[\p{L}\p{N}-]+)*\.\p{L}[\p{L}\p{N}-]*|^localhost(?![\p{L}\p{N}])/u;

/** Goes from one @ to the next, since one pattern for all of it takes quadratic time on odd text. */
function withoutEmails(text: string, pseudonym: Pseudonyms): string {
  let clean = "";
  let done = 0;
  for (let at = text.indexOf("@"); at !== -1; at = text.indexOf("@", at + 1)) {
    let from = at;
    while (from > done && LOCAL_PART.test(text[from - 1] ?? "")) from--;
    // A quoted local part ends in its quotation mark.
    if (from === at && text[at - 1] === '"') from = Math.max(done, text.lastIndexOf('"', at - 2));
    let to = at + 1;
    while (to < text.length && HOST_PART.test(text[to] ?? "")) to++;
    const host = HOST.exec(text.slice(at + 1, to))?.[0];
    if (from === at || host === undefined) continue;
    const end = at + 1 + host.length;
    clean += text.slice(done, from) + pseudonym("email", text.slice(from, end));
    done = end;
  }
  return clean + text.slice(done);
}

const NAME_AND_SIGN =
  /(["']?)([\p{L}_][\p{L}\p{N}_ -]{0,40}?)\1[ \t]{0,10}[:=](?![:=])[ \t]{0,10}/gu;
const VALUE = /"((?:[^"\\]|\\.)*)"?|'((?:[^'\\]|\\.)*)'?|([^"'\s[{][^&,;}\r\n]*)/y;

/** Values behind the name of a secret, in text that isn't the JSON or the form it may have been. */
function byName(text: string, pseudonym: Pseudonyms): string {
  let clean = "";
  let done = 0;
  for (const match of text.matchAll(NAME_AND_SIGN)) {
    const name = match[2] ?? "";
    const end = match.index + match[0].length;
    // Of a sentence, the last word before the sign is the name.
    const kind = kindOfName(name) ?? kindOfName(name.split(" ").at(-1) ?? "");
    if (kind === undefined || match.index < done) continue;
    VALUE.lastIndex = end;
    const [found, double, single, plain] = VALUE.exec(text) ?? [];
    if (found === undefined) continue;
    const mark = double !== undefined ? '"' : single !== undefined ? "'" : "";
    const value = (double ?? single ?? plain ?? "").trim();
    const isClosed = found.length > 1 && found.endsWith(mark);
    clean += text.slice(done, end) + mark + pseudonym(kind, value) + (isClosed ? mark : "");
    done = end + found.length;
  }
  return clean + text.slice(done);
}

// At the start of a word of any length; else only as far as scanning again and again is cheap.
const JWT = /(?<![\w-])eyJ[\w-]{5,}(?:\.[\w-]*){1,4}|eyJ[\w-]{5,600}(?:\.[\w-]*){1,4}/g;
