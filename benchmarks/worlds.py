"""Environments of other projects that `compatibility.py` plays: what each needs, how it is made, what is odd."""

import dataclasses
import functools
import importlib
import os
import pathlib
from collections.abc import Callable, Mapping
from typing import Any


@dataclasses.dataclass(frozen=True, kw_only=True)
class Group:
    """Packages that are installed together: with what they depend on, or, where their pins clash with ours, without."""

    packages: tuple[str, ...] = ()
    alone: tuple[str, ...] = ()


GROUPS: Mapping[str, Group] = {
    "mpe2": Group(packages=("mpe2==1.1.1",)),
    "pettingzoo": Group(packages=("pettingzoo[classic,butterfly,sisl]==1.27.0",)),
    "magent2": Group(packages=("magent2==0.3.4",)),
    "lbforaging": Group(packages=("lbforaging==2.0.0",)),
    "rware": Group(packages=("rware==2.0.0",)),
    "open_spiel": Group(packages=("open-spiel==2.0.2",)),
    "shimmy": Group(packages=("shimmy==2.0.1", "open-spiel==2.0.2")),
    "vmas": Group(packages=("vmas==1.5.2",)),
    "lle": Group(
        packages=("multi-agent-rlenv==4.4.0", "tqdm"),
        alone=("laser-learning-environment==2.13.0", "python-sat==1.9.dev24"),
    ),
    "ray": Group(),
    "collectivecrossing": Group(alone=("collectivecrossing==0.1.3",)),
    "cooperative-marl-labs": Group(packages=("cooperative-marl-labs==0.1.0",)),
    "momaland": Group(alone=("momaland==0.2.0",), packages=("pygame-ce", "pymunk")),
    "gym-multigrid": Group(alone=("gym-multigrid==1.0.0",), packages=("pygame-ce",)),
    "multigrid": Group(alone=("multigrid==0.1.0",), packages=("aenum", "numba")),
    "highway-env": Group(alone=("highway-env==1.12.1",), packages=("pygame-ce",)),
    "conav-suite": Group(alone=("conav-suite==0.0.2",), packages=("pygame-ce",)),
    "failure-api": Group(alone=("failure-api==0.1.7",), packages=("mpe2==1.1.1",)),
    "supersuit": Group(packages=("supersuit==3.11.0", "mpe2==1.1.1")),
    "pogema": Group(alone=("pogema==1.4.0",)),
    "ma-gym": Group(alone=("ma-gym==0.0.14",), packages=("gym==0.26.2",)),
    "overcooked-ai": Group(alone=("overcooked-ai==1.1.0",), packages=("gym==0.26.2", "tqdm")),
    "cognac": Group(packages=("cognac==0.1.8",)),
    "gymnasium-robotics": Group(packages=("gymnasium-robotics==1.4.2",)),
    "sumo-rl": Group(packages=("sumo-rl==1.4.5", "eclipse-sumo==1.28.0"), alone=("pettingzoo==1.24.3",)),
    "mobile-env": Group(alone=("mobile-env==2.1.0",), packages=("pygame-ce", "shapely", "svgpath2mpl")),
    "cogrid": Group(alone=("cogrid==0.3.2",)),
    "frondori": Group(alone=("frondori-kitchen==0.1.0", "frondori-football==0.1.0", "frondori-engine==0.4.0")),
    "generals": Group(alone=("generals==1.0.0",), packages=("pygame-ce",)),
    "sustainable-foraging": Group(alone=("sustainable-foraging==2.0.0",), packages=("pyglet<2",)),
    "mosaic-multigrid": Group(alone=("mosaic-multigrid==7.0.0",), packages=("aenum", "numba", "pygame-ce")),
    "gobblet-rl": Group(alone=("gobblet-rl==1.3.5", "pettingzoo==1.24.3"), packages=("pygame-ce",)),
    "fanorona-aec": Group(alone=("fanorona-aec==3.0.2", "pettingzoo==1.24.3")),
    "marl-aquarium": Group(alone=("marl-aquarium==0.1.10",), packages=("pygame-ce", "moviepy==1.0.3")),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class World:
    """An environment: its group, a function that makes one, settings of its adapter, and what is odd about it."""

    group: str
    make: Callable[..., Any]
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    odd: str = ""


def named(path: str, *args: Any, **kwargs: Any) -> Callable[[], Any]:
    """A function that imports "module:name" when it is called, and calls it."""
    return functools.partial(_call, path, args, kwargs)


def _call(path: str, args: tuple[Any, ...], kwargs: Mapping[str, Any], **more: Any) -> Any:
    module, _, name = path.partition(":")
    return functools.reduce(getattr, name.split("."), importlib.import_module(module))(*args, **{**kwargs, **more})


def gym(module: str, name: str, **kwargs: Any) -> Callable[[], Any]:
    """A registered environment of Gymnasium, whose checker knows one agent only."""
    return functools.partial(_gym, module, name, kwargs)


def _gym(module: str, name: str, kwargs: Mapping[str, Any]) -> Any:
    import gymnasium

    importlib.import_module(module)
    return gymnasium.make(name, disable_env_checker=True, **kwargs)


def spiel(game: str) -> World:
    """A game of OpenSpiel."""
    return World(group="open_spiel", make=named("pyspiel:load_game", game))


def _lle() -> Any:
    from lle import LLE
    from marlenv.wrappers import TimeLimit

    return TimeLimit(LLE.level(6).build(), 30)


def _crossing() -> Any:
    from collectivecrossing import CollectiveCrossingEnv
    from collectivecrossing.configs import CollectiveCrossingConfig

    sizes = {"width": 10, "height": 6, "division_y": 3, "tram_door_left": 4, "tram_door_right": 6, "tram_length": 8}
    agents = {"num_boarding_agents": 2, "num_exiting_agents": 2}
    places = {"exiting_destination_area_y": 0, "boarding_destination_area_y": 5}
    return CollectiveCrossingEnv(config=CollectiveCrossingConfig(**sizes, **agents, **places))


def _crossroads() -> Any:
    make = gym("highway_env", "intersection-multi-agent-v0")
    return make()


def _failing() -> Any:
    from failure_api.communication_models.probabilistic_model import ProbabilisticModel
    from failure_api.wrappers.communication_wrapper import CommunicationWrapper
    from mpe2 import simple_reference_v3

    env = simple_reference_v3.env()
    agents = list(env.possible_agents)
    return CommunicationWrapper(env, failure_models=[ProbabilisticModel(agents, failure_prob=0.5)])


def _stacked() -> Any:
    import supersuit
    from mpe2 import simple_spread_v3

    return supersuit.frame_stack_v1(simple_spread_v3.parallel_env(), 3)


def _shimmy(game: str) -> Any:
    import pyspiel
    from shimmy import OpenSpielCompatibilityV0

    return OpenSpielCompatibilityV0(env=pyspiel.load_game(game))


def _cart_poles() -> Any:
    from ray.rllib.examples.envs.classes.multi_agent import MultiAgentCartPole

    return MultiAgentCartPole({"num_agents": 2})


def _linear(path: str, parts: int) -> Any:
    from momaland.utils.parallel_wrappers import LinearizeReward

    env = named(path)()
    return LinearizeReward(env, dict.fromkeys(env.possible_agents, [1.0 / parts] * parts))


def _mobile() -> Any:
    from mobile_env.wrappers.multi_agent import RLlibMAWrapper

    return RLlibMAWrapper(gym("mobile_env", "mobile-small-ma-v0")())


def _cogrid(name: str) -> Any:
    from gymnasium import spaces

    env = named("cogrid.envs.registry:make", name)()
    seen, _ = env.reset(seed=0)
    env.observation_spaces = {a: spaces.Box(-1e6, 1e6, x.shape, x.dtype) for a, x in seen.items()}
    return env


def _traffic_lights() -> Any:
    os.environ.setdefault("SUMO_HOME", importlib.import_module("sumo").SUMO_HOME)
    roads = pathlib.Path(str(importlib.import_module("sumo_rl").__file__)).parent / "nets" / "2x2grid"
    files = {"net_file": str(roads / "2x2.net.xml"), "route_file": str(roads / "2x2.rou.xml")}
    return named("sumo_rl:parallel_env", **files, num_seconds=200, sumo_warnings=False)()


def _multigrid(wrapper: str) -> Any:
    return named(wrapper, named("multigrid.envs:EmptyEnv", size=5, agents=2, max_steps=20)())()


def _mosaic(wrapper: str, name: str) -> Any:
    from mosaic_multigrid.envs import CONFIGURATIONS

    kind, settings = CONFIGURATIONS[name]
    return named(wrapper, kind(**settings, max_steps=20))()


def _generals() -> Any:
    from generals import GridFactory, PettingZooGenerals
    from generals.agents import RandomAgent

    players = {name: RandomAgent(id=name) for name in ("red", "blue")}
    env = PettingZooGenerals(players, GridFactory(grid_dims=(5, 5)))
    env.reset(seed=0)
    return env


RAY = "ray.rllib.examples.envs.classes.multi_agent"
MOSAIC = "MosaicMultiGrid-S-2v2-IndAgObs-v1"

WORLDS: dict[str, World] = {
    **{
        f"mpe2 {name}": World(group="mpe2", make=named(f"mpe2.{name}:parallel_env"))
        for name in (
            "simple_v3", "simple_spread_v3", "simple_reference_v3", "simple_speaker_listener_v4", "simple_crypto_v3",
            "simple_world_comm_v3", "simple_tag_v3", "simple_adversary_v3", "simple_push_v3", "simple_formation_v1",
            "simple_line_v1", "collect_treasure_v1",
        )
    },
    "mpe2 simple_speaker_listener_v4, continuous": World(
        group="mpe2", make=named("mpe2.simple_speaker_listener_v4:parallel_env", continuous_actions=True)
    ),
    **{
        f"pettingzoo classic {name}": World(group="pettingzoo", make=named(f"pettingzoo.classic.{name}:env"))
        for name in ("tictactoe_v3", "connect_four_v3", "leduc_holdem_v4", "texas_holdem_v4", "rps_v2", "hanabi_v5")
    },
    "pettingzoo classic chess_v6": World(
        group="pettingzoo", make=named("pettingzoo.classic.chess_v6:env"), odd="4,672 actions: nearly all illegal"
    ),
    "pettingzoo butterfly pistonball_v6": World(
        group="pettingzoo", make=named("pettingzoo.butterfly.pistonball_v6:parallel_env", n_pistons=4, max_cycles=20),
        odd="images of 457 x 120: slow without an encoder of images",
    ),
    "pettingzoo butterfly knights_archers_zombies_v11": World(
        group="pettingzoo", make=named("pettingzoo.butterfly.knights_archers_zombies_v11:parallel_env", max_cycles=50)
    ),
    "pettingzoo butterfly cooperative_pong_v6": World(
        group="pettingzoo", make=named("pettingzoo.butterfly.cooperative_pong_v6:parallel_env", max_cycles=20),
        odd="images of 280 x 480",
    ),
    "pettingzoo sisl pursuit_v5": World(
        group="pettingzoo", make=named("pettingzoo.sisl.pursuit_v5:parallel_env", max_cycles=50)
    ),
    "pettingzoo sisl multiwalker_v9": World(
        group="pettingzoo", make=named("pettingzoo.sisl.multiwalker_v9:parallel_env")
    ),
    **{
        f"magent2 {name}": World(
            group="magent2", make=named(f"magent2.environments.{name}:parallel_env", max_cycles=20, **sizes)
        )
        for name, sizes in (("adversarial_pursuit_v4", {"map_size": 12}), ("tiger_deer_v4", {"map_size": 12}),
                            ("combined_arms_v6", {"map_size": 16}))
    },
    "magent2 battle_v4": World(
        group="magent2",
        make=named("magent2.environments.battle_v4:parallel_env", max_cycles=20, map_size=16),
        settings={"team_of": {"red": "red", "blue": "blue"}},
        odd="two teams by team_of=; a seed leaves the start as it is, and decides whose hit comes first",
    ),
    "lbforaging Foraging-8x8-2p-2f": World(
        group="lbforaging",
        make=gym("lbforaging", "Foraging-8x8-2p-2f-v3"),
        settings={"time_limit": 50, "time_limit_is_truncation": True},
        odd="reports its time limit as terminated; a reset with a seed depends on where players stood before",
    ),
    "lbforaging Foraging-8x8-3p-1f-coop": World(
        group="lbforaging",
        make=gym("lbforaging", "Foraging-8x8-3p-1f-coop-v3"),
        settings={"time_limit": 50, "time_limit_is_truncation": True},
    ),
    "rware rware-tiny-2ag": World(
        group="rware",
        make=gym("rware", "rware-tiny-2ag-v2"),
        settings={"time_limit": 500, "time_limit_is_truncation": True},
        odd="reports its time limit of 500 steps as terminated",
    ),
    "rware rware-tiny-2ag, msg_bits=2": World(
        group="rware",
        make=gym("rware", "rware-tiny-2ag-v2", msg_bits=2),
        settings={"time_limit": 500, "time_limit_is_truncation": True},
        odd="bits are heard in the 3 x 3 cells around, and by oneself",
    ),
    **{
        f"open_spiel {game}": spiel(game)
        for game in (
            "lewis_signaling", "trade_comm", "tiny_hanabi", "negotiation", "kuhn_poker", "tic_tac_toe", "matrix_rps",
            "laser_tag", "coop_box_pushing", "leduc_poker", "goofspiel(num_cards=4)", "hanabi",
        )
    },
    "shimmy lewis_signaling of open_spiel": World(
        group="shimmy",
        make=functools.partial(_shimmy, "lewis_signaling"),
        settings={"masks_in_infos": True},
        odd="chance counts as a move: cut before the last decision, all returns 0 (use FromOpenSpiel)",
    ),
    **{
        f"vmas {name}": World(
            group="vmas", make=named("vmas:make_env", name, num_envs=1, max_steps=20, **kwargs), odd=odd
        )
        for name, kwargs, odd in (
            ("simple_speaker_listener", {"continuous_actions": False}, "one goal for all copies"),
            ("simple_reference", {"continuous_actions": True}, "one goal for all copies"),
            ("simple_crypto", {"continuous_actions": False, "multidiscrete_actions": True}, ""),
            ("balance", {}, ""),
            ("discovery", {}, ""),
        )
    },
    "lle level 6": World(group="lle", make=_lle, odd="the same images for all agents; limits also set done"),
    "marlenv MStepsMatrix": World(group="lle", make=named("marlenv.catalog:MStepsMatrix", 5)),
    "marlenv CoordinatedGrid": World(
        group="lle", make=named("marlenv.catalog:CoordinatedGrid"), odd="shows 46 numbers where it declares 23"
    ),
    "ray MultiAgentCartPole": World(group="ray", make=_cart_poles),
    "ray RockPaperScissors": World(group="ray", make=named(f"{RAY}.rock_paper_scissors:RockPaperScissors", {})),
    "ray TicTacToe": World(
        group="ray", make=named(f"{RAY}.tic_tac_toe:TicTacToe", {}), odd="who begins is drawn without the seed"
    ),
    "ray GuessTheNumberGame": World(group="ray", make=named(f"{RAY}.guess_the_number_game:GuessTheNumberGame", {})),
    "ray DoubleRowCorridorEnv": World(
        group="ray", make=named(f"{RAY}.double_row_corridor_env:DoubleRowCorridorEnv", {})
    ),
    "collectivecrossing": World(
        group="collectivecrossing", make=_crossing, odd="pins ray 2.49.2: installed without what it needs"
    ),
    "cooperative-marl-labs SpeakerListener": World(
        group="cooperative-marl-labs", make=named("cooperative_marl_labs:SpeakerListenerEnv")
    ),
    "cooperative-marl-labs PartnerCoordination": World(
        group="cooperative-marl-labs", make=named("cooperative_marl_labs:PartnerCoordinationEnv")
    ),
    "cooperative-marl-labs WirelessResourceAllocation": World(
        group="cooperative-marl-labs", make=named("cooperative_marl_labs:WirelessResourceAllocationEnv")
    ),
    "momaland item_gathering": World(
        group="momaland",
        make=named("momaland.envs.item_gathering.item_gathering:parallel_env"),
        odd="rewards are vectors",
    ),
    "momaland beach": World(
        group="momaland", make=named("momaland.envs.beach.beach:parallel_env"), odd="rewards are vectors"
    ),
    "momaland item_gathering, LinearizeReward": World(
        group="momaland", make=functools.partial(_linear, "momaland.envs.item_gathering.item_gathering:parallel_env", 3)
    ),
    "momaland beach, LinearizeReward": World(
        group="momaland", make=functools.partial(_linear, "momaland.envs.beach.beach:parallel_env", 2)
    ),
    "gym-multigrid collect": World(
        group="gym-multigrid", make=gym("gym_multigrid", "multigrid-collect-v0"), odd="not importable with numpy 2"
    ),
    "multigrid Empty-5x5, PettingZoo": World(
        group="multigrid", make=functools.partial(_multigrid, "multigrid.pettingzoo:PettingZooWrapper"),
        odd="its reset() gives no infos",
    ),
    "multigrid Empty-5x5, RLlib": World(
        group="multigrid", make=functools.partial(_multigrid, "multigrid.rllib:RLlibWrapper"),
        odd="lists no agents: those of its Dict space",
    ),
    "multigrid Empty-5x5": World(
        group="multigrid",
        make=named("multigrid.envs:EmptyEnv", size=5, agents=2),
        odd="a gymnasium.Env that speaks in dicts by agent",
    ),
    "highway-env intersection-multi-agent": World(
        group="highway-env", make=_crossroads, odd="one reward for all; agents' flags in info"
    ),
    "conav-suite": World(
        group="conav-suite",
        make=named("conav_suite.conav_suite:env"),
        settings={"reset_options": {"problem_instance": "circle"}},
        odd="one agent; its reset() needs options",
    ),
    "failure-api CommunicationWrapper": World(group="failure-api", make=_failing, odd="what is lost is a missing key"),
    "supersuit frame_stack of mpe2": World(group="supersuit", make=_stacked),
    "pogema": World(group="pogema", make=named("pogema:pogema_v0"), odd="needs pydantic 1"),
    "ma-gym Switch2": World(group="ma-gym", make=named("ma_gym.envs.switch:Switch"), odd="the interface of gym 0.20"),
    "overcooked-ai": World(
        group="overcooked-ai",
        make=named("overcooked_ai_py.mdp.overcooked_env:Overcooked"),
        odd="not importable with numpy 2",
    ),
    "cognac": World(
        group="cognac", make=named("cognac.env:BinaryConsensusNetworkEnvironment"), odd="needs Python 3.12"
    ),
    "gymnasium-robotics mamujoco Ant 2x4": World(
        group="gymnasium-robotics",
        make=named("gymnasium_robotics:mamujoco_v1.parallel_env", scenario="Ant", agent_conf="2x4"),
    ),
    "sumo-rl 2x2grid": World(group="sumo-rl", make=_traffic_lights, odd="needs PettingZoo before 1.25, and SUMO_HOME"),
    "mobile-env small": World(
        group="mobile-env", make=_mobile, odd="reset(seed) reaches nobody: copies play alike, unless seeded by config"
    ),
    **{
        f"cogrid {name}": World(
            group="cogrid", make=functools.partial(_cogrid, name), odd="declares no observation spaces: given by hand"
        )
        for name in ("Overcooked-CrampedRoom-V0", "SearchRescue-Test-V0")
    },
    "frondori kitchen": World(group="frondori", make=named("frondori_kitchen:KitchenEnv", max_steps=20)),
    "frondori football": World(group="frondori", make=named("frondori_football:FootballEnv")),
    "generals 5x5": World(
        group="generals", make=_generals, odd="its mask fits no part of its Dict of actions"
    ),
    "sustainable-foraging": World(
        group="sustainable-foraging",
        make=named("sustainable_foraging.foraging.aecEnvironment:ForagingEnv", players=3, field_size=(8, 8),
                   max_num_food=4, sight=8, max_episode_steps=20),
        odd="a reset with a seed depends on where players stood before",
    ),
    "mosaic-multigrid soccer 2v2, PettingZoo": World(
        group="mosaic-multigrid",
        make=functools.partial(_mosaic, "mosaic_multigrid.pettingzoo:PettingZooWrapper", MOSAIC),
    ),
    "mosaic-multigrid soccer 2v2, RLlib": World(
        group="mosaic-multigrid", make=functools.partial(_mosaic, "mosaic_multigrid.rllib:RLlibWrapper", MOSAIC)
    ),
    "gobblet-rl": World(
        group="gobblet-rl", make=named("gobblet_rl.gobblet_v1:env"), odd="needs PettingZoo before 1.25"
    ),
    "fanorona-aec": World(
        group="fanorona-aec", make=named("env.fanorona_env:env", render_mode=None), odd="needs PettingZoo before 1.25"
    ),
    "marl-aquarium": World(
        group="marl-aquarium",
        make=named("marl_aquarium.aquarium_v0:parallel_env", render_mode="rgb_array", max_time_steps=20,
                   prey_count=4),
        odd="draws from Python's global stream; close() calls sys.exit(); two predators fail an assertion of its own",
    ),
}  # fmt: skip
