"""m5 plan train --model xl-1.5b --tokens 36e9 --hours 24: the cheapest fleet, or what a given fleet takes."""

import argparse
from typing import TYPE_CHECKING

from m5model.commands._plan_flags import LARGEST, add_prices, read_assumptions, write
from schemas.flags import number, whole_number

if TYPE_CHECKING:
    from m5model.planning.fleet import Fleet, Instance, PriceTable
    from m5model.planning.search import Wish

SUMMARY = "memory, time and dollars of a training, and the cheapest fleet for it"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", required=True, metavar="NAME-OR-FILE", help="a preset, bert-large, 100b, or a config.json")
    parser.add_argument("--tokens", type=number(1, LARGEST), required=True, help="to train on, in all, e.g. 36e9")
    parser.add_argument("--sequence-length", type=number(1, LARGEST), default=128.0, help="tokens of a sample (default: 128)")
    parser.add_argument("--batch-tokens", type=number(1, LARGEST), default=2.0**20, help="of a step (default: 1,048,576)")
    parser.add_argument(
        "--structured-share", type=number(0, 1), default=0.35, help="of tokens, for two streams (default: 0.35)"
    )
    parser.add_argument("--mask-share", type=number(0, 1), default=0.15, help="of tokens, to guess (default: 0.15)")
    parser.add_argument("--fleet", metavar="INSTANCE=COUNT", help="this fleet; the cheapest is looked for otherwise")
    parser.add_argument("--instances", nargs="+", metavar="NAME", help="look among these (default: those rented today)")
    parser.add_argument("--devices-per-instance", type=whole_number(1), help="use only so many devices of each instance")
    parser.add_argument("--zero", choices=("auto", "0", "1", "2", "3"), default="auto", help="stage of ZeRO (default: auto)")
    parser.add_argument("--offload", choices=("none", "optimizer", "all"), default="none", help="to the host's memory")
    parser.add_argument("--checkpointing", choices=("auto", "on", "off"), default="auto", help="compute activations again")
    parser.add_argument("--precision", choices=("mixed", "fp32"), default="mixed", help="(default: mixed)")
    parser.add_argument("--device-tokens-per-second", type=number(0, LARGEST), help="measured on one device")
    add_prices(parser)


def run(arguments: argparse.Namespace) -> None:
    from m5model.planning.fleet import read_price_table
    from m5model.planning.search import find_cheapest, plan_on
    from m5model.planning.training_report import as_json, as_text

    prices = read_price_table(arguments.prices)
    wish = _wish(arguments)
    plans = (
        [plan_on(wish, _fleet(arguments, prices, wish))]
        if arguments.fleet
        else find_cheapest(wish, prices, _instances(arguments, prices))
    )
    best, others = plans[0], plans[1:]
    write(arguments.json, as_json(best, others, prices), as_text(best, others, prices))


def _wish(arguments: argparse.Namespace) -> "Wish":
    from m5model.planning.operations import Texts
    from m5model.planning.search import Choice, Wish
    from m5model.planning.setup import Assumptions, Workload
    from m5model.planning.shape import find_shape

    shape = find_shape(arguments.model)
    structured = arguments.structured_share if shape.structure_layers else 0.0
    texts = Texts(length=arguments.sequence_length, structured_share=structured, mask_share=arguments.mask_share)
    return Wish(
        shape=shape,
        work=Workload(tokens=arguments.tokens, batch_tokens=arguments.batch_tokens, texts=texts),
        hours=arguments.hours,
        dollars=arguments.budget,
        spot=arguments.spot,
        choice=Choice(
            zeros=(0, 1, 2, 3) if arguments.zero == "auto" else (int(arguments.zero),),
            offloads=(arguments.offload,),
            checkpointing={"auto": (False, True), "on": (True,), "off": (False,)}[arguments.checkpointing],
            precision=arguments.precision,
        ),
        assumed=Assumptions(**read_assumptions(arguments.assume, Assumptions().as_json())),
        tokens_per_s=arguments.device_tokens_per_second,
    )


def _instances(arguments: argparse.Namespace, prices: "PriceTable") -> "list[Instance]":
    names = arguments.instances or [one.name for one in prices.rented()]
    return [_part(arguments, prices.instance(name)) for name in names]


def _fleet(arguments: argparse.Namespace, prices: "PriceTable", wish: "Wish") -> "Fleet":
    from m5model.planning.training import rent
    from schemas.errors import ConfigurationError
    from schemas.flags import BrokenNumber

    name, _, text = arguments.fleet.partition("=")
    count = whole_number(1)(text or "1")
    if isinstance(count, BrokenNumber):
        raise ConfigurationError(
            f"--fleet is {arguments.fleet!r}, expected INSTANCE=COUNT", next_step="give, for example, --fleet p5.48xlarge=2"
        )
    return rent(prices, _part(arguments, prices.instance(name)), count, spot=wish.spot, assumed=wish.assumed)


def _part(arguments: argparse.Namespace, instance: "Instance") -> "Instance":
    """The instance with only some of its devices in use; the whole of it is paid."""
    from dataclasses import replace

    from schemas.checks import require

    wanted = arguments.devices_per_instance or instance.devices
    require("arguments", {f"{instance.name} has {instance.devices} devices, not {wanted}": wanted <= instance.devices})
    return replace(instance, devices=wanted)
