import { Buffer } from "node:buffer";
import {
  createHmac,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
} from "node:crypto";
import { z } from "zod";
import { AUDIENCE, ISSUER, LEGACY_AUDIENCE, type TokenSubject } from "../auth/tokens.ts";

/** The parts of a token that a test may set. */
interface Parts {
  readonly header: Record<string, unknown>;
  readonly claims: Record<string, unknown>;
}

/** Makes tokens as the API does, and as forgers do. */
export interface TokenMaker {
  /** A fully valid token. */
  good(subject: TokenSubject): string;
  /** A token with one fault, by its name in {@link TOKEN_FAULTS}. */
  faulty(fault: TokenFault, subject: TokenSubject): string;
}

const Jwk = z.looseObject({ kid: z.string(), x: z.string() });
const KeyFile = z.object({ keys: z.tuple([Jwk], Jwk) });

/** The means of a forger: the public key, and a separate key pair. */
interface Attack extends Parts {
  readonly publicJwk: z.output<typeof Jwk>;
  readonly publicKey: KeyObject;
  readonly sign: (parts: Parts) => string;
}

const now = () => Math.floor(Date.now() / 1000);

function without(claims: Record<string, unknown>, name: string): Record<string, unknown> {
  return Object.fromEntries(Object.entries(claims).filter(([key]) => key !== name));
}

function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}

function hmac(secret: string | Uint8Array, { header, claims }: Parts): string {
  const signed = `${encode({ ...header, alg: "HS256" })}.${encode(claims)}`;
  return `${signed}.${createHmac("sha256", secret).update(signed).digest("base64url")}`;
}

function ed25519(key: KeyObject, { header, claims }: Parts): string {
  const signed = `${encode(header)}.${encode(claims)}`;
  return `${signed}.${sign(null, Buffer.from(signed), key).toString("base64url")}`;
}

function es256({ header, claims }: Parts): string {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const signed = `${encode({ ...header, alg: "ES256" })}.${encode(claims)}`;
  const signature = sign("sha256", Buffer.from(signed), {
    key: privateKey,
    dsaEncoding: "ieee-p1363",
  });
  return `${signed}.${signature.toString("base64url")}`;
}

function foreign(parts: Parts): string {
  return ed25519(generateKeyPairSync("ed25519").privateKey, parts);
}

/** The faults of a token, and how each is made from a valid one's parts. */
export const TOKEN_FAULTS = {
  "signed by a foreign key": (a) => foreign({ ...a, header: { ...a.header, kid: "foreign" } }),
  "signed by a foreign key under our key's name": foreign,
  "signed by a foreign key that it brings along": (a) => {
    const { privateKey, publicKey } = generateKeyPairSync("ed25519");
    return ed25519(privateKey, { ...a, header: { ...a.header, jwk: publicKey.export(JWK) } });
  },
  "expired": (a) => a.sign({ ...a, claims: { ...a.claims, iat: now() - 1_900, exp: now() - 100 } }),
  "of the none algorithm": (a) => `${encode({ ...a.header, alg: "none" })}.${encode(a.claims)}.`,
  "of the none algorithm in capitals, with the signature of another": (a) => {
    const [, , signature] = a.sign(a).split(".");
    return `${encode({ ...a.header, alg: "NONE" })}.${encode(a.claims)}.${signature}`;
  },
  "HS256 with the public key's bytes": (a) => hmac(Buffer.from(a.publicJwk.x, "base64url"), a),
  "HS256 with the public key's text": (a) => hmac(a.publicJwk.x, a),
  "HS256 with the public key as PEM": (a) =>
    hmac(a.publicKey.export({ type: "spki", format: "pem" }), a),
  "HS256 with the public key as DER": (a) =>
    hmac(a.publicKey.export({ type: "spki", format: "der" }), a),
  "HS256 with the published key as JSON": (a) => hmac(JSON.stringify(a.publicJwk), a),
  "HS256 with an empty secret": (a) => hmac("", a),
  "of another algorithm under our key's name": es256,
  "for another audience": (a) => a.sign({ ...a, claims: { ...a.claims, aud: "another" } }),
  "from a login without a password": (a) =>
    a.sign({ ...a, claims: { ...a.claims, aud: LEGACY_AUDIENCE } }),
  "without an audience": (a) => a.sign({ ...a, claims: without(a.claims, "aud") }),
  "from another issuer": (a) => a.sign({ ...a, claims: { ...a.claims, iss: "another" } }),
  "without an issuer": (a) => a.sign({ ...a, claims: without(a.claims, "iss") }),
  "without exp": (a) => a.sign({ ...a, claims: without(a.claims, "exp") }),
  "without iat": (a) => a.sign({ ...a, claims: without(a.claims, "iat") }),
  "without sub": (a) => a.sign({ ...a, claims: without(a.claims, "sub") }),
  "without jti": (a) => a.sign({ ...a, claims: without(a.claims, "jti") }),
  "without a role": (a) => a.sign({ ...a, claims: without(a.claims, "role") }),
  "with a future iat": (a) =>
    a.sign({ ...a, claims: { ...a.claims, iat: now() + 600, exp: now() + 1_200 } }),
  "not valid before later": (a) => a.sign({ ...a, claims: { ...a.claims, nbf: now() + 600 } }),
  "issued too long ago, for too long": (a) =>
    a.sign({ ...a, claims: { ...a.claims, iat: now() - 86_400, exp: now() + 86_400 } }),
  "with an unknown role": (a) => a.sign({ ...a, claims: { ...a.claims, role: "ROOT" } }),
  "with a subject that is no id": (a) => a.sign({ ...a, claims: { ...a.claims, sub: "admin" } }),
  "of an altered payload": (a) => {
    const [header, , signature] = a.sign(a).split(".");
    // The altered claim changes nothing else: only the signature can show it.
    return `${header}.${encode({ ...a.claims, note: "altered" })}.${signature}`;
  },
  "of an altered signature": (a) => {
    const [header, claims, signature = ""] = a.sign(a).split(".");
    return `${header}.${claims}.${signature.startsWith("A") ? "B" : "A"}${signature.slice(1)}`;
  },
  "of another type": (a) => a.sign({ ...a, header: { ...a.header, typ: "at+jwt" } }),
  "without a type": (a) => a.sign({ ...a, header: without(a.header, "typ") }),
  "of an extension that must be understood": (a) =>
    a.sign({ ...a, header: { ...a.header, crit: ["lotline"], lotline: true } }),
  "cut off": (a) => a.sign(a).slice(0, -20),
  "no token at all": () => "hello",
} as const satisfies Record<string, (attack: Attack) => string>;

/** The name of a fault. */
export type TokenFault = keyof typeof TOKEN_FAULTS;

const JWK = { format: "jwk" } as const;

/** Makes tokens for an API that signs with the first key of this key file. */
export async function tokenMaker(keyFile: string): Promise<TokenMaker> {
  const { keys: [jwk] } = KeyFile.parse(JSON.parse(await Deno.readTextFile(keyFile)));
  const privateKey = createPrivateKey({ key: jwk, ...JWK });
  const publicKey = createPublicKey(privateKey);
  const partsFor = ({ id, role }: TokenSubject): Parts => ({
    header: { alg: "EdDSA", typ: "JWT", kid: jwk.kid },
    claims: {
      iss: ISSUER,
      aud: AUDIENCE,
      sub: id,
      role,
      iat: now(),
      exp: now() + 1_800,
      jti: crypto.randomUUID(),
    },
  });
  const signed = (parts: Parts) => ed25519(privateKey, parts);
  const { d: _secret, ...publicJwk } = jwk;
  return {
    good: (subject) => signed(partsFor(subject)),
    faulty: (fault, subject) =>
      TOKEN_FAULTS[fault]({ ...partsFor(subject), publicJwk, publicKey, sign: signed }),
  };
}
