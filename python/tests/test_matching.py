"""`matchEvents`: what the Python daemon would have asked, said in JSON."""

import collections
import unittest

import support  # noqa: F401
from slated_worker.matching import normalise


class Matching(unittest.TestCase):
    def rules(self, match_events):
        return normalise(match_events)[0]

    def test_nothing_means_everything(self):
        for nothing in (None, {}, [], "", ()):
            self.assertEqual(self.rules(nothing), {})

    def test_every_kind_of_value(self):
        for value, rule in (
            (None, {"any": True}),
            (["*"], {"any": True}),
            (["a", "*"], {"any": True}),
            ("*", {"any": True}),
            ("a*b", {"any": True}),
            ({"*": 1}, {"any": True}),
            (["a", "b"], {"attrs": ["a", "b"]}),
            (("a",), {"attrs": ["a"]}),
            ({"a"}, {"attrs": ["a"]}),
            ({"a": 1}, {"attrs": ["a"]}),
            (collections.deque(["a"]), {"attrs": ["a"]}),
            ([], {"attrs": []}),
            ("", {"substring": ""}),
            ("sg_status_list", {"substring": "sg_status_list"}),
            (["a", None, 3], {"attrs": ["a"]}),
        ):
            self.assertEqual(self.rules({"T": value}), {"T": rule}, value)

    def test_what_python_could_not_match_with(self):
        for wrong in (["T"], "T", ("T",), 5, {"T": 5}, {"T": True}, {"T": b"a"}, {"T": object()}):
            with self.assertRaises(TypeError, msg=repr(wrong)):
                normalise(wrong)

    def test_a_dict_without_a_usable_key_never_matches(self):
        rules, warnings = normalise({None: None})
        self.assertEqual(rules, {"": {"attrs": []}})
        self.assertEqual(len(warnings), 1)

    def test_a_defaultdict_is_not_grown(self):
        given = collections.defaultdict(list, {"T": ["a"]})
        self.assertEqual(self.rules(given), {"T": {"attrs": ["a"]}})
        self.assertEqual(list(given), ["T"])

    def test_the_odd_ones_are_warned_about_and_kept(self):
        for odd, part in (
            ({"*": ["x"], "T": None}, "makes the others ignored: 'T'"),
            ({"Shotgun_*_Change": None}, "no wildcards"),
            ({"T": []}, "is empty and never matches"),
            ({"T": "status"}, "plain string"),
            ({"Shotgun_Version_New": ["code"]}, "no attribute"),
            ({"T": ["a", 3]}, "3 in matchEvents['T']"),
        ):
            rules, warnings = normalise(odd)
            self.assertEqual(len(warnings), 1, odd)
            self.assertIn(part, warnings[0])
            self.assertEqual(set(rules), set(odd))

    def test_the_usual_ones_are_not(self):
        usual = {"T": ["a"], "U": None, "V": ["*"], "Shotgun_Shot_New": None}
        self.assertEqual(normalise(usual)[1], [])


if __name__ == "__main__":
    unittest.main()
