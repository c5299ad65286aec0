import type { Random } from "../../dev/random.ts";
import { listed } from "./listed.ts";
import type { Mutation } from "./mutation.ts";

const QUERIES: [string, ...string[]] = [
  `?${"a".repeat(2_000)}`,
  `?${"a=b&".repeat(1_200)}`,
  `?${"a".repeat(8_000)}`,
  ...listed(
    "?¦??¦?a¦?a=b¦?a=b&a=c¦?a[]=b¦?a[b]=c¦?__proto__=x¦?a[__proto__][b]=c¦?é=é¦?%¦?%zz¦" +
      "?%00¦?%C3¦?a=%0d%0aX:1¦?a=b#c¦?#¦?/¦?a=b?c=d¦?&¦?=¦?a=+b¦?lot_code=X¦" +
      "?email=admin@flowviz.com¦?'¦?\"¦?<¦?{}¦?|¦?\\¦?^¦?`¦?é¦?\u0080ÿ¦?;¦?a;b¦?callback=x¦" +
      "?_method=DELETE¦?pretty¦?.json¦?a=/../..¦#a¦#¦?@¦?:",
  ),
];

const CODES: [string, ...string[]] = [
  "a".repeat(650),
  "a".repeat(651),
  "a".repeat(2_600),
  "a".repeat(2_601),
  "a".repeat(7_000),
  "%C5%90".repeat(300),
  "%C5%90".repeat(700),
  "%E4%B8%AD".repeat(800),
  ...listed(
    "%00¦%00x¦x%00¦%¦%z¦%zz¦%4¦%C3¦%C3%28¦%FF¦%E2%82¦%ED%A0%80¦%C0%80¦%C0%AF¦%F0%9F%91%8D¦" +
      "%f0%9f%91%8d¦%F4%90%80%80¦%EF%BB%BF¦%EF%BF%BF¦%2F¦%2f¦a%2Fb¦%5C¦%2E¦%2E%2E¦.¦..¦...¦" +
      "%2e%2e%2f¦%20¦%09¦%0A¦%0D%0A¦%7F¦+¦a+b¦a%2Bb¦a;b¦a;jsessionid=1¦;¦a,b¦a:b¦:¦a@b¦a=b¦" +
      "a&b¦a$b¦$¦(a)¦'¦''¦a'--¦%27%20or%201=1¦!¦*¦~¦-¦_¦\"¦<¦>¦{a}¦{¦|¦\\¦^¦`¦[¦[a]¦Ã©¦é¦ÿ¦" +
      "\u0080¦%25¦%2500¦%2525¦%u0041¦null¦undefined¦0¦-1¦1e400¦true¦__proto__¦constructor¦" +
      "toString¦favicon.ico¦index.html¦x.json¦RAW-BEEF-001%00¦RAW-BEEF-001%20¦RAW-BEEF-001.¦" +
      "RAW-BEEF-001%0A¦%52AW-BEEF-001¦raw-beef-001¦RAW%2DBEEF%2D001¦RAW-BEEF-001;a¦" +
      "RAW-BEEF-001%3F¦RAW-BEEF-001%23¦%EF%BC%B2AW-BEEF-001¦RAW-BEEF-001%E2%80%8B",
  ),
];

function otherCase(text: string, random: Random): string {
  return [...text].map((c) => random.below(2) ? c.toUpperCase() : c.toLowerCase()).join("");
}

const escaped = (byte: number, random: Random) => {
  const hex = byte.toString(16).padStart(2, "0");
  return `%${random.below(2) ? hex.toUpperCase() : hex}`;
};

/** Mutations of the target and the method. */
export const ODD_TARGETS: readonly Mutation[] = [
  {
    name: "a query",
    stage: "target",
    of: "any",
    weight: 4,
    apply(draft, random) {
      draft.target += random.pick(QUERIES);
    },
  },
  {
    name: "an odd lot code",
    stage: "target",
    of: "trace",
    weight: 30,
    apply(draft, random) {
      draft.target = `/api/traceability/${random.pick(CODES)}${
        random.below(4) === 0 ? random.pick(CODES) : ""
      }`;
    },
  },
  {
    name: "a lot code of any characters",
    stage: "target",
    of: "trace",
    weight: 15,
    apply(draft, random) {
      const count = 1 + random.below(8);
      let code = "";
      for (let i = 0; i < count; i++) {
        const point = random.below(3) === 0 ? random.below(0x11_0000) : random.below(0x250);
        const bytes = new TextEncoder().encode(String.fromCodePoint(point));
        for (const byte of bytes) {
          const isPlain = /[\w.~!$&'()*+,;=:@-]/.test(String.fromCharCode(byte));
          code += isPlain && random.below(4) > 0
            ? String.fromCharCode(byte)
            : escaped(byte, random);
        }
      }
      draft.target = `/api/traceability/${code}`;
    },
  },
  {
    name: "a lot code with more escapes than it needs",
    stage: "target",
    of: "trace",
    weight: 8,
    apply(draft, random, { lotCodes }) {
      const bytes = new TextEncoder().encode(random.pick(lotCodes));
      const code = [...bytes].map((byte) =>
        random.below(2) || !/[\w-]/.test(String.fromCharCode(byte))
          ? escaped(byte, random)
          : String.fromCharCode(byte)
      ).join("");
      draft.target = `/api/traceability/${code}`;
    },
  },
  {
    name: "letters of another case, a slash at the end",
    stage: "target",
    of: "any",
    weight: 3,
    apply(draft, random) {
      const [path = "", ...rest] = draft.target.split("?");
      const parts = path.split("/");
      const word = 1 + random.below(2);
      parts[word] = otherCase(parts[word] ?? "", random);
      const slash = random.below(2) ? "/" : "";
      draft.target = parts.join("/") + slash + (rest.length ? `?${rest.join("?")}` : "");
    },
  },
  {
    name: "another form of the path",
    stage: "target",
    of: "any",
    weight: 2,
    mayBeRefused: true,
    apply(draft, random) {
      const { target } = draft;
      draft.target = random.pick([
        `http://plant.example${target}`,
        `HTTP://PLANT.EXAMPLE${target}`,
        `https://other.example:1${target}`,
        `http://user:pw@plant.example${target}`,
        `ftp://plant.example${target}`,
        `/${target}`,
        `//plant.example${target}`,
        target.replace("/api/", "/api//"),
        target.replace("/api/", "/api/./"),
        `/x/..${target}`,
        target.replace("/api/", "/api/x/../"),
        target.replace("api", "%61pi"),
        target.replace("/api/", "/api%2F"),
        `${target}//`,
        `${target}/.`,
        `${target}/x`,
        `${target};a=b`,
        `${target}.json`,
        target.slice(1),
        target.replace("/api/", "\\api\\"),
        `${target}%20`,
        `${target}%2F`,
        `${target}%00`,
        `/API${target.slice(4)}`,
        `*`,
        `/`,
        ``,
        `${target} x`,
        `${target}\t`,
        `/api/v1${target.slice(4)}`,
        `/api`,
        `${target}\xe9`,
        `http://plant.example?${target}`,
        `http:///api/health`,
        `${target}/?`,
        `${target}?/`,
      ]);
    },
  },
  {
    name: "another method",
    stage: "target",
    of: "any",
    weight: 3,
    apply(draft, random) {
      draft.method = random.pick(listed(
        "HEAD¦HEAD¦OPTIONS¦PUT¦PATCH¦DELETE¦GET¦POST¦TRACE¦PROPFIND¦QUERY¦SEARCH¦LINK¦PURGE¦" +
          "REPORT¦M-SEARCH¦get¦Post¦FOO¦MKCOL¦LOCK¦COPY¦BIND¦ACL¦NOTIFY¦SOURCE",
      ));
      if (
        draft.method === "HEAD" && draft.operation !== "getHealth" &&
        draft.operation !== "getTraceability"
      ) draft.method = "PUT";
    },
    mayBeRefused: true,
  },
];
