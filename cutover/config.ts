import { z } from "zod";
import {
  bearerSecret,
  databaseUrl,
  dryRunSecret,
  SharedSettings,
  urlOf,
  wholeNumber,
} from "../config.ts";

/** What identifies a client to a canary; a header's name is in lower case. */
export type CanaryBy = "client" | "address" | "request" | { readonly header: string };

const canaryBy = z.union([
  z.enum(["client", "address", "request"]),
  z.string().regex(/^header +[\w!#$%&'*+.^`|~-]{1,64}$/)
    .transform((text) => ({ header: text.replace(/^header +/, "").toLowerCase() })),
]);

/** An upstream's origin. A path would be ambiguous beside the request's own path. */
const serverUrl = urlOf("http:").refine((text) => {
  const url = URL.parse(text);
  return url?.href === `${url?.origin}/`;
}).transform((text) => new URL(text).origin);

const LEGACY_URL = serverUrl.meta({
  description: "the old server's address without a path, such as http://127.0.0.1:3001",
});

const LOTLINE_COMMIT = z.string().regex(/^[0-9a-f]{7,64}$/).optional().meta({
  description:
    "the commit that this Lotline was built from, 7 to 64 hexadecimal digits, or nothing",
});

/** The settings of `deno task gateway`. */
export const GatewaySettings = SharedSettings.pick({
  HOST: true,
  DATABASE_URL: true,
  DATABASE_POOLER: true,
  TRUSTED_PROXIES: true,
  METRICS_HOST: true,
  METRICS_PORT: true,
  LOG_LEVEL: true,
}).extend({
  GATEWAY_PORT: wholeNumber(0, 65_535).default(8080).meta({
    description: "a port from 0 (any free one) to 65535",
  }),
  GATEWAY_ADMIN_PORT: wholeNumber(0, 65_535).default(8081).meta({
    description: "a port from 0 (any free one) to 65535, another than GATEWAY_PORT",
  }),
  // Loopback, independent of HOST: this port moves the traffic.
  GATEWAY_ADMIN_HOST: z.string().min(1).default("127.0.0.1").meta({
    description: "the address that the admin API listens on, such as 127.0.0.1",
  }),
  LEGACY_URL,
  SERVICE_URL: serverUrl.meta({
    description:
      "the address of Lotline's API without a path, such as http://127.0.0.1:8000, another than " +
      "LEGACY_URL",
  }),
  GATEWAY_ADMIN_TOKEN: bearerSecret.meta({
    description: "a secret of at least 16 letters and digits",
    formerly: "GATEWAY_TOKEN",
    secret: true,
  }),
  DRY_RUN_SECRET: dryRunSecret.meta({
    description: "a secret of at least 32 characters, the same as the API's",
    secret: true,
  }),
  // At least the old server's limit: a body that it accepts must reach it.
  GATEWAY_BODY_LIMIT: wholeNumber(102_400, 104_857_600).default(1_048_576).meta({
    description: "a number of bytes from 102400 to 104857600",
  }),
  UPSTREAM_TIMEOUT_SECONDS: wholeNumber(1, 600).default(30).meta({
    description: "a whole number of seconds from 1 to 600",
  }),
  CANARY_BY: canaryBy.default("client").meta({
    description: "client, address, request, or header NAME such as header X-Terminal-Id",
  }),
  LOTLINE_COMMIT,
})
  // Two equal upstreams or ports would show only later.
  .refine(({ LEGACY_URL, SERVICE_URL }) => LEGACY_URL !== SERVICE_URL, {
    path: ["SERVICE_URL"],
    when: () => true,
  })
  .refine(
    ({ GATEWAY_PORT, GATEWAY_ADMIN_PORT }) =>
      GATEWAY_PORT === 0 || GATEWAY_PORT !== GATEWAY_ADMIN_PORT,
    { path: ["GATEWAY_ADMIN_PORT"], when: () => true },
  );

export type GatewayConfig = Readonly<z.output<typeof GatewaySettings>>;

/** The settings of every command of `deno task cutover`. */
export const CutoverSettings = SharedSettings.pick({
  DATABASE_URL: true,
  DATABASE_POOLER: true,
  DATABASE_DIRECT_URL: true,
});

/** The settings of `deno task cutover probe`. */
export const ProbeSettings = CutoverSettings.extend({
  GATEWAY_URL: serverUrl.meta({
    description: "the gateway's address without a path, such as http://127.0.0.1:8080",
  }),
});

/** The settings of `deno task cutover calibrate`. */
export const CalibrateSettings = CutoverSettings.extend({ LEGACY_URL });

/** The settings of `deno task parity`; each command checks which of them it needs. */
export const ParitySettings = z.object({
  BASE: urlOf("http:", "https:").optional().meta({
    description: "the address of a server, such as http://127.0.0.1:8000",
  }),
  DATABASE_URL: databaseUrl.optional().meta({
    description: "a PostgreSQL address, such as postgres://user:password@localhost:5432/plant",
    secret: true,
  }),
  DATABASE_POOLER: SharedSettings.shape.DATABASE_POOLER,
  DATABASE_DIRECT_URL: SharedSettings.shape.DATABASE_DIRECT_URL,
  DRY_RUN_SECRET: dryRunSecret.optional().meta({
    description: "a secret of at least 32 characters, the same as the gateway's, or nothing",
    secret: true,
  }),
  LOTLINE_COMMIT,
  PARITY_TOKEN: z.string().regex(/^[\w.~+/-]+=*$/).optional().meta({
    description: "a login token, or nothing",
    secret: true,
  }),
  TIME_ZONE: SharedSettings.shape.TIME_ZONE,
});

export type ParityConfig = Readonly<z.output<typeof ParitySettings>>;

/** The settings of `deno task legacy`, the stand-in for the old server. */
export const LegacySettings = SharedSettings.pick({ DATABASE_URL: true, TIME_ZONE: true }).extend({
  LEGACY_PORT: wholeNumber(0, 65_535).default(3001).meta({
    description: "a port from 0 (any free one) to 65535",
  }),
});
