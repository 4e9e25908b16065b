"""m5 strategies: the pre-built ways to a partner's model, and what each needs, costs and is good for."""

import argparse
import json
import sys

SUMMARY = "list the strategies of m5 finetune: what each needs, costs and is good for"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="one JSON object a line")


def run(arguments: argparse.Namespace) -> None:
    from m5model.partners.registry import list_strategies

    for name, strategy in list_strategies().items():
        said = {
            "does": strategy.SUMMARY,
            "needs": strategy.NEEDS,
            "costs": strategy.COSTS,
            "good for": strategy.GOOD_FOR,
            "labels": ", ".join(strategy.SERVES),
        }
        if arguments.json:
            sys.stdout.write(json.dumps({"strategy": name, **said}, ensure_ascii=False) + "\n")
        else:
            sys.stdout.write(f"{name}\n" + "".join(f"  {what:<9} {text}\n" for what, text in said.items()) + "\n")
