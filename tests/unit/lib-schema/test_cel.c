/* CEL: what expressions give, and what is refused. Results are written as JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/schema/cel.h"
#include "lib/schema/crd_schema.h"

#pragma GCC diagnostic ignored "-Wmissing-prototypes"

static const char object[] =
	"{\"metadata\":{\"generation\":3,\"name\":\"x\",\"labels\":{\"a/b\":\"c\"}},"
	"\"spec\":{\"replicas\":2,\"ratio\":1.5,\"on\":true,\"nothing\":null,\"ports\":[80,443],"
	"\"q\":\"100m\"},"
	"\"status\":{\"observedGeneration\":3,\"phase\":\"Ready\","
	"\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\"},"
	"{\"type\":\"Stalled\",\"status\":\"False\"}]}}";

struct row {
	const char *text, *want; /* "!…": an error that holds this */
};

static void judge(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct arena a = {0};
		struct buf b = {0};
		struct err err = {0};
		struct cel_env env = {.root = json_parse(&a, str_c(object), NULL, NULL)};
		struct cel_program *p =
			cel_compile(&a, str_c(rows[i].text), &env, CEL_WANT_ANY, &err);
		struct json *v = p ? cel_eval_json(p, &a, &env, &err) : NULL;
		bool fine;

		if (v)
			json_write(v, &b);
		if (rows[i].want[0] == '!')
			fine = !v && strstr(err.msg, rows[i].want + 1);
		else
			fine = v && str_is(buf_view(&b), rows[i].want);
		if (!fine)
			print_error("%s\n  gives %s %s\n  not   %s\n", rows[i].text,
				    v ? buf_cstr(&b) : "", err.msg, rows[i].want);
		assert_true(fine);
		buf_release(&b);
		arena_release(&a);
	}
}
#define JUDGE(rows) judge(rows, ARRAY_LEN(rows))

void test_cel__literals(void **state)
{
	static const struct row rows[] = {
		{"1", "1"},
		{"-9223372036854775808", "-9223372036854775808"},
		{"9223372036854775808", "!invalid int literal"},
		{"0xFF", "255"},
		{"-0x10", "-16"},
		{"18446744073709551615u", "18446744073709551615"},
		{"1.5", "1.5"},
		{".5", "0.5"},
		{"1e3", "1000"},
		{"1.0", "1"},
		{"true", "true"},
		{"null", "null"},
		{"'a\\n\\x41\\u00e9\\101'", "\"a\\nA\xc3\xa9"
					    "A\""},
		{"r'a\\n'", "\"a\\\\n\""},
		{"R\"a\\\"", "\"a\\\\\""},
		{"'''a'b'''", "\"a'b\""},
		{"\"\"\"a\nb\"\"\"", "\"a\\nb\""},
		{"b'\\xff' == b'\\377'", "true"},
		{"string(b'abc')", "\"abc\""},
		{"size(b'\\xff\\x00')", "2"},
		{"[1, 2, 3,]", "[1,2,3]"},
		{"[]", "[]"},
		{"{'a': 1, 'b': [2]}", "{\"a\":1,\"b\":[2]}"},
		{"{1: 'x', true: 'y'}", "{\"1\":\"x\",\"true\":\"y\"}"},
		{"{'a': 1, 'a': 2}", "!repeated key"},
		{"{1.5: 1}", "!unsupported key type"},
		{"1 // one\n + 1", "2"},
		{"'open", "!not closed"},
		{"'\\q'", "!escape"},
		{"'\\ud800'", "!escape"},
		{"1abc", "!malformed number"},
		{"a b", "!mismatched input 'b'"},
		{"", "!<EOF>"},
		{"(1", "!<EOF>"},
		{"for", "!reserved"},
		{"Foo{a: 1}", "!messages"},
		{"1 $ 2", "!token recognition"},
	};

	(void)state;
	JUDGE(rows);
}

void test_cel__arithmetic(void **state)
{
	static const struct row rows[] = {
		{"1 + 2 * 3 - 4", "3"},
		{"(1 + 2) * 3", "9"},
		{"7 / 2", "3"},
		{"-7 / 2", "-3"},
		{"-7 % 3", "-1"},
		{"1 / 0", "!division by zero"},
		{"1 % 0", "!modulus by zero"},
		{"1.0 / 0.0 > 1e300", "true"},
		{"9223372036854775807 + 1", "!integer overflow"},
		{"-9223372036854775808 - 1", "!integer overflow"},
		{"-(-9223372036854775807 - 1)", "!integer overflow"},
		{"4611686018427387904 * 2", "!integer overflow"},
		{"(-9223372036854775807 - 1) / -1", "!integer overflow"},
		{"0u - 1u", "!unsigned integer overflow"},
		{"1 + 1u", "!no matching overload for '_+_'"},
		{"1 + 1.0", "!no matching overload"},
		{"dyn(1) + 1.0", "!no such overload"},
		{"'a' + 'b'", "\"ab\""},
		{"[1] + [2]", "[1,2]"},
		{"'a' + 1", "!no matching overload"},
		{"--1", "1"},
		{"!!true", "true"},
		{"!1", "!no matching overload for '!_'"},
		{"1.5 + spec.ratio", "3"},
		{"0.1 + 0.2", "0.30000000000000004"},
		{"1e300 * 10.0", "1e+301"},
	};

	(void)state;
	JUDGE(rows);
}

void test_cel__comparing(void **state)
{
	static const struct row rows[] = {
		{"1 == 1.0", "true"},
		{"1 == 1u", "true"},
		{"1u < 1.5", "true"},
		{"-1 < 1u", "true"},
		{"dyn(9007199254740993) == 9007199254740992.0", "false"},
		{"9223372036854775807 < 9223372036854775808.0", "true"},
		{"dyn('1') == 1", "false"},
		{"'1' == 1", "!no matching overload for '_==_'"},
		{"double('NaN') == double('NaN')", "false"},
		{"double('NaN') != double('NaN')", "true"},
		{"double('NaN') < 1.0", "false"},
		{"'a' < 'b' && b'a' < b'b' && false < true", "true"},
		{"[1, 2] == [1.0, 2u]", "true"},
		{"[1, 2] == [2, 1]", "false"},
		{"{'a': 1, 'b': 2} == {'b': 2, 'a': 1.0}", "true"},
		{"spec.ports == [80, 443]", "true"},
		{"spec.nothing == null", "true"},
		{"spec.on == null", "false"},
		{"80 in spec.ports", "true"},
		{"81 in spec.ports", "false"},
		{"'name' in metadata", "true"},
		{"'a' in {'a': 1}", "true"},
		{"1 in 2", "!no matching overload for '@in'"},
		{"dyn(1) < 'a'", "!no such overload"},
		{"[1] < [2]", "!no matching overload"},
		{"type(1) == int && type('') == string && type(type) == type", "true"},
		{"type(spec) == map && type(spec.ports) == list", "true"},
		{"type(timestamp('2024-01-01T00:00:00Z')) == google.protobuf.Timestamp", "true"},
		{"type(null) == null_type", "true"},
	};

	(void)state;
	JUDGE(rows);
}

void test_cel__errors_are_absorbed_where_the_other_side_decides(void **state)
{
	static const struct row rows[] = {
		{"1 / 0 > 1 || true", "true"},
		{"true || 1 / 0 > 1", "true"},
		{"false && 1 / 0 > 1", "false"},
		{"1 / 0 > 1 && false", "false"},
		{"1 / 0 > 1 || false", "!division by zero"},
		{"1 / 0 > 1 && true", "!division by zero"},
		{"true ? 1 : 1 / 0", "1"},
		{"false ? 1 / 0 : 2", "2"},
		{"[0, 1].exists(x, 1 / x == 1)", "true"},
		{"[0, 2].exists(x, 1 / x == 1)", "!division by zero"},
		{"[0, 2].all(x, 1 / x == 1)", "false"},
		{"[0, 1].all(x, 1 / x == 1)", "!division by zero"},
		{"status.other == 'x'", "!no such key: other"},
		{"status.other == 'x' || true", "true"},
		{"nobody", "!no such attribute"},
		{"[1][1]", "!index out of bounds: 1"},
		{"[1][-1]", "!index out of bounds: -1"},
		{"'a'.b", "!does not support field selection"},
	};

	(void)state;
	JUDGE(rows);
}

void test_cel__macros(void **state)
{
	static const struct row rows[] = {
		{"has(status.phase)", "true"},
		{"has(status.other)", "false"},
		{"has(status.other.more)", "!no such key: other"},
		{"has(status)", "!invalid argument to has()"},
		{"[1, 2, 3].all(x, x > 0)", "true"},
		{"[1, 2, 3].exists(x, x > 2)", "true"},
		{"[1, 2, 3].exists_one(x, x > 2)", "true"},
		{"[1, 2, 3].exists_one(x, x > 1)", "false"},
		{"[1, 2, 3].map(x, x * 2)", "[2,4,6]"},
		{"[1, 2, 3].map(x, x > 1, x * 2)", "[4,6]"},
		{"[1, 2, 3].filter(x, x > 1)", "[2,3]"},
		{"{'a': 1, 'b': 2}.map(k, k)", "[\"a\",\"b\"]"},
		{"{'a': 1, 'b': 2}.all(k, v, v > 0 && k != 'c')", "true"},
		{"[5, 6].exists(i, v, i == 1 && v == 6)", "true"},
		{"['a', 'b'].transformList(i, v, string(i) + v)", "[\"0a\",\"1b\"]"},
		{"{'a': 1, 'b': 2}.transformMap(k, v, v > 1, v * 10)", "{\"b\":20}"},
		{"[[1, 2], [3]].map(x, x.map(y, y + x.size()))", "[[3,4],[4]]"},
		{"[1].map(x, [2].map(x, x))", "[[2]]"},
		{"status.conditions.filter(e, e.type == 'Ready').all(e, e.status == 'True')",
		 "true"},
		{"[1].all(1, true)", "!simple name"},
		{"[1].all(x, 1)", "!expected type 'bool'"},
		{"1.all(x, true)", "!cannot be range"},
		{"dyn(1).all(x, true)", "!no such overload"},
		{"[].all(x, false)", "true"},
	};

	(void)state;
	JUDGE(rows);
}

void test_cel__text(void **state)
{
	static const struct row rows[] = {
		{"size('h\xc3\xa9!')", "3"},
		{"'hello'.contains('ell') && 'hello'.startsWith('he') && 'hello'.endsWith('lo')",
		 "true"},
		{"''.contains('')", "true"},
		{"'abc'.matches('^[a-c]+$')", "true"},
		{"matches('abc', 'd')", "false"},
		{"'a'.matches('(')", "!error parsing regexp"},
		{"'h\xc3\xa9llo'.charAt(1)", "\"\xc3\xa9\""},
		{"'abc'.charAt(3)", "\"\""},
		{"'abc'.charAt(4)", "!index out of range: 4"},
		{"'tacocat'.indexOf('ac')", "1"},
		{"'tacocat'.indexOf('a', 3)", "5"},
		{"'tacocat'.indexOf('none')", "-1"},
		{"'tacocat'.indexOf('')", "0"},
		{"'tacocat'.lastIndexOf('a')", "5"},
		{"'tacocat'.lastIndexOf('at', 4)", "-1"},
		{"'tacocat'.lastIndexOf('')", "7"},
		{"'TacoCat'.lowerAscii() + 'x'.upperAscii()", "\"tacocatX\""},
		{"'hello hello'.replace('he', 'we')", "\"wello wello\""},
		{"'hello hello'.replace('he', 'we', 1)", "\"wello hello\""},
		{"'ab'.replace('', '_')", "\"_a_b_\""},
		{"'a,b,c'.split(',')", "[\"a\",\"b\",\"c\"]"},
		{"'a,b,c'.split(',', 2)", "[\"a\",\"b,c\"]"},
		{"'a,b,c'.split(',', 0)", "[]"},
		{"'abc'.split('')", "[\"a\",\"b\",\"c\"]"},
		{"','.split(',')", "[\"\",\"\"]"},
		{"'tacocat'.substring(4)", "\"cat\""},
		{"'tacocat'.substring(0, 4)", "\"taco\""},
		{"'tacocat'.substring(4, 3)", "!invalid substring range"},
		{"'  \\ttrim\\n '.trim()", "\"trim\""},
		{"['a', 'b'].join('-') + ['c', 'd'].join()", "\"a-bcd\""},
		{"strings.quote('a\"b\\n')", "\"\\\"a\\\\\\\"b\\\\n\\\"\""},
		{"'%s is %d, %x, %.2f, %b%%'.format(['a', 7, 255, 1.5, 5])",
		 "\"a is 7, ff, 1.50, 101%\""},
		{"'%s'.format([[1, 'a', {'k': null}]])", "\"[1, a, {k: null}]\""},
		{"'%d'.format(['a'])", "!formatting clause"},
		{"'%d'.format([])", "!out of range"},
		{"'abc 123 45'.find('[0-9]+')", "\"123\""},
		{"'abc'.find('[0-9]+')", "\"\""},
		{"'abc 123 45'.findAll('[0-9]+')", "[\"123\",\"45\"]"},
		{"'1 2 3'.findAll('[0-9]', 2)", "[\"1\",\"2\"]"},
		{"'abc'.nothing()", "!undeclared reference to 'nothing'"},
		{"'abc'.charAt('a')", "!no matching overload for 'charAt'"},
		{"dyn('abc').charAt(dyn('a'))", "!no such overload: charAt"},
	};

	(void)state;
	JUDGE(rows);
}

void test_cel__conversions(void **state)
{
	static const struct row rows[] = {
		{"int('42') + int(1.9) + int(2u)", "45"},
		{"int('x')", "!type conversion error"},
		{"int(1e30)", "!integer overflow"},
		{"uint(-1)", "!unsigned integer overflow"},
		{"uint('7')", "7"},
		{"double('1.25') + double(1)", "2.25"},
		{"double('')", "!type conversion"},
		{"bool('true') && !bool('F')", "true"},
		{"bool('yes')", "!type conversion"},
		{"string(1) + string(1.5) + string(true) + string(2u)", "\"11.5true2\""},
		{"string(1e21) + string(123456789.0)", "\"1e+21123456789\""},
		{"string(b'\\xff')", "!invalid UTF-8"},
		{"bytes('a') == b'a'", "true"},
		{"string(duration('90m')) + string(duration('1.5s'))", "\"5400s1.5s\""},
		{"string(timestamp('2024-02-29T12:00:00.5+01:00'))", "\"2024-02-29T11:00:00.5Z\""},
		{"int(timestamp('1970-01-01T00:01:00Z'))", "60"},
		{"timestamp(60) == timestamp('1970-01-01T00:01:00Z')", "true"},
	};

	(void)state;
	JUDGE(rows);
}

void test_cel__times(void **state)
{
	static const struct row rows[] = {
		{"timestamp('2024-02-29T12:34:56.789Z').getFullYear()", "2024"},
		{"timestamp('2024-02-29T12:34:56.789Z').getMonth()", "1"},
		{"timestamp('2024-02-29T12:34:56.789Z').getDayOfMonth()", "28"},
		{"timestamp('2024-02-29T12:34:56.789Z').getDate()", "29"},
		{"timestamp('2024-02-29T12:34:56.789Z').getDayOfWeek()", "4"},
		{"timestamp('2024-12-31T00:00:00Z').getDayOfYear()", "365"},
		{"timestamp('2024-02-29T12:34:56.789Z').getHours('+02:30')", "15"},
		{"timestamp('2024-02-29T12:34:56.789Z').getMinutes('-00:35')", "59"},
		{"timestamp('2024-02-29T12:34:56.789Z').getMilliseconds()", "789"},
		{"timestamp('1969-12-31T23:59:59Z').getFullYear()", "1969"},
		{"timestamp('1969-12-31T23:59:59Z').getSeconds()", "59"},
		{"timestamp('nonsense')", "!type conversion"},
		{"timestamp('2024-01-02T00:00:00Z') - timestamp('2024-01-01T00:00:00Z') == "
		 "duration('24h')",
		 "true"},
		{"timestamp('2024-01-01T00:00:00Z') + duration('1h') > "
		 "timestamp('2024-01-01T00:30:00Z')",
		 "true"},
		{"duration('1h30m').getMinutes()", "90"},
		{"duration('1h') - duration('30m') == duration('30m')", "true"},
		{"timestamp('2024-01-01T00:00:00Z') + timestamp('2024-01-01T00:00:00Z')",
		 "!no matching overload"},
		{"-duration('1h') < duration('0s')", "true"},
	};

	(void)state;
	JUDGE(rows);
}

void test_cel__lists_and_sets(void **state)
{
	static const struct row rows[] = {
		{"[1, 2, 2].isSorted() && !['b', 'a'].isSorted()", "true"},
		{"[1, 2, 3].sum()", "6"},
		{"[duration('1m'), duration('1s')].sum() == duration('61s')", "true"},
		{"[].sum()", "0"},
		{"[3, 1, 2].min() + [3, 1, 2].max()", "4"},
		{"[].min()", "!min called on empty list"},
		{"[1, 2, 2].indexOf(2) * 10 + [1, 2, 2].lastIndexOf(2)", "12"},
		{"['a'].indexOf('b')", "-1"},
		{"sets.contains([1, 2, 3], [2]) && !sets.contains([1], [2])", "true"},
		{"sets.equivalent([1, 2, 2], [2, 1])", "true"},
		{"sets.intersects([1, 2], [2, 3])", "true"},
	};

	(void)state;
	JUDGE(rows);
}

void test_cel__optionals(void **state)
{
	static const struct row rows[] = {
		{"spec.?replicas.orValue(7)", "2"},
		{"spec.?nothing2.orValue(7)", "7"},
		{"spec.?a.b.c.orValue('none')", "\"none\""},
		{"spec.?a.hasValue()", "false"},
		{"has(spec.?a.b)", "false"},
		{"spec.ports[?5].orValue(1)", "1"},
		{"spec.ports[?0].value()", "80"},
		{"optional.none().value()", "!optional.none() dereference"},
		{"optional.of(1).optMap(x, x + 1).value()", "2"},
		{"optional.none().optMap(x, x + 1).hasValue()", "false"},
		{"optional.of(1).optFlatMap(x, optional.none()).hasValue()", "false"},
		{"optional.ofNonZeroValue('').or(optional.of('x')).value()", "\"x\""},
		{"[1, ?optional.none(), ?optional.of(2)]", "[1,2]"},
		{"{?'a': optional.none(), ?'b': optional.of(1)}", "{\"b\":1}"},
		{"optional.of(1) == optional.of(1)", "true"},
	};

	(void)state;
	JUDGE(rows);
}

void test_cel__kubernetes(void **state)
{
	static const struct row rows[] = {
		{"quantity('1Gi').isGreaterThan(quantity('1G'))", "true"},
		{"quantity(spec.q).compareTo(quantity('0.1'))", "0"},
		{"quantity('50k').add(20).sub(quantity('20')) == quantity('50k')", "true"},
		{"quantity('1.5').isInteger()", "false"},
		{"quantity('2k').asInteger()", "2000"},
		{"quantity('1.5').asInteger()", "!cannot convert"},
		{"quantity('-1').sign()", "-1"},
		{"quantity('x')", "!quantities must match"},
		{"isQuantity('x') || isQuantity('1Mi')", "true"},
		{"url('https://a.example:8443/p/q?x=1&x=2&y=%20').getHost()", "\"a.example:8443\""},
		{"url('https://[::1]:80/').getHostname() + url('https://a:1/').getPort()",
		 "\"::11\""},
		{"url('https://a/p?x=1&x=2&y=%20').getQuery()",
		 "{\"x\":[\"1\",\"2\"],\"y\":[\" \"]}"},
		{"url('/path').getScheme() == '' && url('/path').getEscapedPath() == '/path'",
		 "true"},
		{"isURL('../relative') || isURL('no scheme')", "false"},
		{"ip('192.168.0.1').family() + ip('::1').family()", "10"},
		{"ip('127.0.0.1').isLoopback() && ip('fe80::1').isLinkLocalUnicast()", "true"},
		{"isIP('192.168.0.01') || isIP('::ffff:1.2.3.4') || isIP('1.2.3')", "false"},
		{"string(ip('2001:db8:0:0:0:0:0:1'))", "\"2001:db8::1\""},
		{"string(ip('::')) + string(ip('1:0:0:2:0:0:0:3'))", "\"::1:0:0:2::3\""},
		{"ip.isCanonical('2001:DB8::1')", "false"},
		{"cidr('10.0.0.0/8').containsIP('10.1.2.3')", "true"},
		{"cidr('10.0.0.0/8').containsCIDR(cidr('10.0.0.0/16'))", "true"},
		{"cidr('10.0.0.0/16').containsCIDR('10.0.0.0/8')", "false"},
		{"string(cidr('10.1.2.3/12').masked())", "\"10.0.0.0/12\""},
		{"cidr('10.0.0.0/8').prefixLength()", "8"},
		{"isCIDR('10.0.0.0/33')", "false"},
		{"semver('1.2.3').isLessThan(semver('1.10.0'))", "true"},
		{"semver('1.0.0-rc.1').compareTo(semver('1.0.0'))", "-1"},
		{"semver('1.0.0-rc.2').isGreaterThan(semver('1.0.0-rc.1'))", "true"},
		{"semver('3.4.5').minor()", "4"},
		{"semver('1.2.3-a.1+b')", "\"1.2.3-a.1+b\""},
		{"optional.of(semver('1.2.3'))", "\"1.2.3\""},
		{"'%s'.format([ip('::1')]) + '%s'.format([optional.none()])",
		 "\"::1optional_type\""},
		{"isSemver('1.2') || isSemver('01.2.3') || isSemver('v1.2.3')", "false"},
		{"metadata.labels['a/b']", "\"c\""},
		{"metadata.labels.`a/b`", "\"c\""},
		{"{'a.b': 1}.a__dot__b + {'if': 2}.__if__", "3"},
	};

	(void)state;
	JUDGE(rows);
}

void test_cel__what_it_costs_is_bounded(void **state)
{
	static const char digits[] = "[0,1,2,3,4,5,6,7,8,9]";
	static const struct row rows[] = {
		{"D.all(a, D.all(b, D.all(c, D.all(d, D.all(e, D.all(f, D.all(g, true)))))))",
		 "!cost limit exceeded"},
		/* what would absorb an error doesn't absorb this */
		{"D.all(a, D.all(b, D.all(c, D.all(d, D.all(e, D.all(f, D.all(g, true))))))) || "
		 "true",
		 "!cost limit exceeded"},
		{"D.map(a, D.map(b, D.map(c, 'aaaaaaaaaaaaaaaaaaaa'.replace('', "
		 "'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb')"
		 ".replace('', 'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb')"
		 ".replace('', 'cccccccccccccccccccccccccccccccccccccccccccccccccccccccc'))))",
		 "!limit exceeded"},
	};
	struct row made[ARRAY_LEN(rows)];
	struct buf b[ARRAY_LEN(rows)] = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		for (const char *p = rows[i].text; *p; p++)
			if (*p == 'D')
				buf_puts(&b[i], digits);
			else
				buf_putc(&b[i], *p);
		made[i] = (struct row){buf_cstr(&b[i]), rows[i].want};
	}
	JUDGE(made);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		buf_release(&b[i]);
}

void test_cel__depth_is_bounded(void **state)
{
	static const char *const repeated[] = {"(",  "!",    "-",    "[",  "{1:",   "a.map(x,",
					       "1+", "a.b.", "a?b:", "a[", "size(", "1&&"};
	struct err err = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(repeated); i++) {
		struct buf b = {0};

		for (int n = 0; n < 1500; n++)
			buf_puts(&b, repeated[i]);
		assert_int_equal(cel_check(buf_view(&b), &err), -1);
		buf_release(&b);
	}
}

void test_cel__long_chains_are_no_deep_ones(void **state)
{
	struct buf b = {0};
	struct err err = {0};

	(void)state;
	for (int n = 0; n < 1000; n++)
		buf_puts(&b, "a.b == 1 || ");
	buf_puts(&b, "true");
	assert_int_equal(cel_check(buf_view(&b), &err), 0);
	buf_release(&b);
}

/* 1, 0, or -1 for an error. */
static int test(const char *text)
{
	struct arena a = {0};
	bool is = false;
	struct err err = {0};
	int rc = cel_test(&a, str_c(text), json_parse(&a, str_c(object), NULL, NULL), &is, &err);

	arena_release(&a);
	return rc ? -1 : is;
}

void test_cel__health_expressions(void **state)
{
	(void)state;
	assert_int_equal(test("status.phase == 'Ready'"), 1);
	assert_int_equal(test("status.phase != \"Ready\""), 0);
	assert_int_equal(test("metadata.generation == status.observedGeneration"), 1);
	assert_int_equal(test("has(status.other) && status.other == 'x'"), 0);
	assert_int_equal(test("status.conditions.exists_one(e, e.type == 'Ready')"), 1);
	assert_int_equal(test("status.phase"), -1);
	assert_int_equal(test("status.other == 'x'"), -1);
	assert_int_equal(test("data.other == 'x'"), -1);
}

/* ---- with schemas ---- */

static const char schema_text[] =
	"{\"type\":\"object\",\"properties\":{\"spec\":{\"type\":\"object\",\"properties\":{"
	"\"replicas\":{\"type\":\"integer\"},\"name\":{\"type\":\"string\"},"
	"\"ratio\":{\"type\":\"number\"},"
	"\"at\":{\"type\":\"string\",\"format\":\"date-time\"},"
	"\"wait\":{\"type\":\"string\",\"format\":\"duration\"},"
	"\"blob\":{\"type\":\"string\",\"format\":\"byte\"},"
	"\"tags\":{\"type\":\"array\",\"x-kubernetes-list-type\":\"set\","
	"\"items\":{\"type\":\"string\"}},"
	"\"ports\":{\"type\":\"array\",\"x-kubernetes-list-type\":\"map\","
	"\"x-kubernetes-list-map-keys\":[\"port\"],\"items\":{\"type\":\"object\","
	"\"properties\":{\"port\":{\"type\":\"integer\"},\"name\":{\"type\":\"string\"}}}},"
	"\"labels\":{\"type\":\"object\",\"additionalProperties\":{\"type\":\"string\"}},"
	"\"either\":{\"x-kubernetes-int-or-string\":true},"
	"\"free\":{\"type\":\"object\",\"x-kubernetes-preserve-unknown-fields\":true}}}}}";

static const char typed_object[] =
	"{\"metadata\":{\"name\":\"x\"},\"spec\":{\"replicas\":2,\"name\":\"n\",\"ratio\":2,"
	"\"at\":\"2024-01-01T00:00:00Z\",\"wait\":\"1m\",\"blob\":\"aGk=\",\"tags\":[\"a\",\"b\"],"
	"\"ports\":[{\"port\":1,\"name\":\"x\"},{\"port\":2}],\"labels\":{\"k\":\"v\"},"
	"\"either\":\"5%\",\"free\":{\"any\":1}}}";

static void judge_typed(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct arena a = {0};
		struct err err = {0};
		bool is = false;
		struct cel_var self = {
			.name = "self",
			.value = json_parse(&a, str_c(typed_object), NULL, NULL),
			.type = crd_schema_build(&a, json_parse(&a, str_c(schema_text), NULL, NULL),
						 false)};
		struct cel_env env = {.vars = &self, .nvars = 1};
		struct cel_program *p =
			cel_compile(&a, str_c(rows[i].text), &env, CEL_WANT_BOOL, &err);
		int rc = p ? cel_eval_bool(p, &a, &env, &is, &err) : -1;

		if (rows[i].want[0] == '!' ? !rc || !strstr(err.msg, rows[i].want + 1)
					   : rc || is != !strcmp(rows[i].want, "true")) {
			print_error("%s: %d %s\n", rows[i].text, is, err.msg);
			assert_true(false);
		}
		arena_release(&a);
	}
}

void test_cel__schemas_give_types(void **state)
{
	static const struct row rows[] = {
		{"self.spec.replicas == 2 && self.metadata.name == 'x'", "true"},
		{"self.spec.ratio / 4.0 == 0.5", "true"},
		{"self.spec.at.getFullYear() == 2024", "true"},
		{"self.spec.wait == duration('60s')", "true"},
		{"self.spec.blob == b'hi'", "true"},
		{"self.spec.tags == ['b', 'a']", "true"},
		{"(self.spec.tags + ['b', 'c']).size() == 3", "true"},
		{"(self.spec.ports + [{'port': 2, 'name': 'y'}]).map(p, p.port) == [1, 2]", "true"},
		{"self.spec.labels.all(k, self.spec.labels[k] == 'v')", "true"},
		{"self.spec.labels.k == 'v'", "true"},
		{"self.spec.either == 5", "false"},
		{"type(self.spec.either) == string && self.spec.either.endsWith('%')", "true"},
		{"self.spec.free.any == 1", "true"},
		{"self.spec.nothing == 1", "!<input>:1:10: undefined field 'nothing'"},
		{"self.metadata.labels == {}", "!undefined field 'labels'"},
		{"self.spec.ports.all(p, p.prt == 1)", "!undefined field 'prt'"},
		{"self.spec.ports[0].prt == 1", "!undefined field 'prt'"},
		{"self.spec.replicas == 'two'", "!applied to '(int, string)'"},
		{"self.spec.name.startsWith(1)", "!applied to 'string.(int)'"},
		{"self.spec.name", "!must evaluate to a bool"},
		{"slf.spec.name == ''", "!undeclared reference to 'slf' (in container '')"},
		{"has(self.spec.nothing)", "!undefined field"},
		{"self.spec.replicas && true", "!no matching overload for '_&&_'"},
	};

	(void)state;
	judge_typed(rows, ARRAY_LEN(rows));
}

void test_cel__a_refusal_shows_the_place(void **state)
{
	struct err err = {0};

	(void)state;
	assert_int_equal(cel_check(STR("true &&\n  nothing(1)"), &err), -1);
	assert_string_equal(err.msg,
			    "ERROR: <input>:2:3: undeclared reference to 'nothing' (in container "
			    "'')\n |   nothing(1)\n | ..^");
}

/* ---- variables that are evaluated when they are asked for ---- */

struct cel_lazy_state;

void test_cel__declared_names_only(void **state)
{
	struct arena a = {0};
	struct err err = {0};
	struct cel_var vars[] = {
		{.name = "object", .value = json_parse(&a, str_c(object), NULL, NULL)},
		{.name = "oldObject"},
		{.name = "oldSelf", .optional = true}};
	struct cel_env env = {.vars = vars, .nvars = 3};
	struct cel_program *p;
	bool is = false;

	(void)state;
	p = cel_compile(&a, STR("object.spec.replicas == 2 && !oldSelf.hasValue()"), &env,
			CEL_WANT_BOOL, &err);
	assert_non_null(p);
	assert_true(cel_uses(p, "object") && !cel_uses(p, "oldObject"));
	assert_int_equal(cel_eval_bool(p, &a, &env, &is, &err), 0);
	assert_true(is);
	p = cel_compile(&a, STR("oldObject.x == 1"), &env, CEL_WANT_BOOL, &err);
	assert_int_equal(cel_eval_bool(p, &a, &env, &is, &err), -1);
	assert_null(cel_compile(&a, STR("other.x == 1"), &env, CEL_WANT_BOOL, &err));
	arena_release(&a);
}
