import type { Random } from "../../dev/random.ts";
import { listed } from "./listed.ts";
import { anyOf, digits, json, maybe, type OddValue, oneOf, padded, texts, word } from "./value.ts";

const plainDecimal = (random: Random) =>
  maybe(random, random.pick(["+", "-", "--", "−", "+ ", "- ", ""])) + digits(random) +
  maybe(random, random.pick([".", ",", ".5", ".50", ".00", "..5", ".5.", "٫5", ". 5", "._5"])) +
  maybe(
    random,
    random.pick(["e1", "E2", "e+3", "e-3", "E-0", "e", "e400", "d2", "e1.5", "e 2", "e1_0"]),
  );

/** Values that PostgreSQL's numeric may accept or refuse. */
export const oddDecimal: OddValue = anyOf(
  (random) => json(plainDecimal(random)),
  (random) => json(plainDecimal(random)),
  padded((random) => digits(random) + maybe(random, `.${digits(random)}`)),
  padded((random) => random.pick(["1", "-1", "1.50", "NaN", "Infinity", "0", "1e2"])),
  oneOf(...listed(
    "0¦-0¦0.0¦-0.0¦1.0¦1.50¦1e0¦1E2¦1e+2¦1e-7¦1e21¦1e20¦123456789012345678¦" +
      "123456789012345678901234567890¦9007199254740993¦0.1¦0.30000000000000004¦1e308¦" +
      "1.7976931348623157e308¦1e309¦1e400¦-1e400¦1e-400¦5e-324¦1e-323¦2.5e-8¦" +
      "100000000000000000000000¦4.35¦1e22¦0.000001¦0.0000001¦1.10¦10e-1¦12E3¦-5.5¦" +
      "99999999999999999999.99",
  )),
  texts(
    ...listed(
      "NaN¦nan¦NAN¦-NaN¦+NaN¦nAn¦Infinity¦-Infinity¦+Infinity¦infinity¦INFINITY¦inf¦-inf¦" +
        "+inf¦Inf¦infinit¦NaN ¦ inf¦1¦+1¦-1¦-0¦+0¦-0.00¦00¦007¦0.¦.0¦.5¦-.5¦+.5¦5.¦.¦-¦+¦¦e5¦" +
        "1e¦1e+¦1e5¦1E5¦1e-5¦1.e5¦.5e5¦1e1000¦1e131071¦1e131072¦1e-16383¦1e-16384¦1e-20000¦" +
        "1e99999¦1e2147483647¦1e2147483648¦1e-2147483648¦0e99999¦0e-99999¦0x10¦0X1F¦0xff¦0b101¦" +
        "0B1¦0o17¦0O7¦-0x10¦0x¦0x1.8¦1_000¦1__000¦_1¦1_¦1_000.000_1¦1._5¦1e1_0¦0x_F¦1,000¦" +
        "1.000,5¦1,5¦1 000¦$1¦1kg¦1 kg¦1%¦1/2¦1f¦1d¦1L¦1n¦true¦null¦NULL¦None¦undefined¦١٢٣¦" +
        "１２３¦½¦²¦1\u0000¦\u00001¦1;¦'1'¦(1)¦1--¦1 -- x¦1e5 ¦\u200e1¦1\u200b¦- 1¦+ 1¦12.50¦" +
        "12.5000000000¦0.00000000000000000000001¦1.0E+3",
    ),
    '"1"',
  ),
  (random) => json("9".repeat(1 + random.below(1_200))),
  (random) => json(`0.${"0".repeat(random.below(1_200))}1`),
  (random) => json("0".repeat(random.below(2_000)) + digits(random)),
  (random) => json(`${digits(random)}e${random.pick(["", "-"])}${digits(random, 1, 5)}`),
  (random) =>
    `${digits(random).replace(/^0+(?=\d)/, "")}e${random.pick(["", "-", "+"])}${
      digits(random, 1, 3)
    }`,
  (random) => json(word(random, "0123456789.+-eE_ xXbnaif", 1, 8)),
);
