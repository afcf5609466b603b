"""The demo's content: a month of a small town's venues, as plain data. Days count from the day of seeding."""

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True)
class DemoType:
    name: str
    price: str
    capacity: int | None = None
    text: str = ""
    minimum: int = 1
    maximum: int = 10


@dataclass(frozen=True)
class DemoEvent:
    """`sold`: how many tickets of each kind (by position; the last takes the rest) are sold before anybody comes."""

    page: str
    calendar: str
    title: str
    picture: str
    day: int
    time: str
    minutes: int
    summary: str
    text: str
    place: str = ""
    price: str | None = None
    types: tuple[DemoType, ...] = ()
    capacity: int | None = None
    sold: tuple[int, ...] = ()
    sale_opens_in_days: int | None = None
    cancelled: bool = False
    room: str = ""

    @property
    def ticket_price(self) -> Decimal | None:
        return None if self.price is None else Decimal(self.price)


@dataclass(frozen=True)
class DemoProduct:
    """A thing in a page's shop; `stock` None: no limit, 0: sold out."""

    page: str
    slug: str
    name: str
    price: str
    summary: str
    text: str
    stock: int | None = None


@dataclass(frozen=True)
class DemoOrder:
    """What `buyer` orders and pays: tickets (event, how many of each kind by position), products, times in rooms.

    A room's time is the third of the first open day, so many days from now or later.
    """

    name: str
    buyer: str
    tickets: tuple[tuple[str, tuple[int, ...]], ...] = ()
    products: tuple[tuple[str, int], ...] = ()
    rooms: tuple[tuple[str, str, int], ...] = ()


PAGES = {
    "linde": (
        "Kulturhaus Linde",
        "Lindenstraße 14, Berlin",
        "A house for the neighbourhood since 1987: a stage with 120 seats, a cinema room and a bar, run by 40 members. "
        "Doors open half an hour before each event; everything is on one level.",
        None,
        {"stage": "Stage", "cinema": "Film club", "house": "Around the house", "rehearsal": "Rehearsal room"},
    ),
    "blue-cellar": (
        "Blue Cellar Jazz",
        "Am Wall 3, Bremen",
        "Sixty chairs under a brick vault. The band plays two sets, the kitchen closes at eleven.",
        "MDEMO002",
        {"concerts": "Concerts", "sessions": "Sessions"},
    ),
    "clay-and-steps": (
        "Clay & Steps",
        "Fábrica 7, Lisboa",
        "A members' co-op with a pottery, a dance floor and a garden. Workshops are small, so everybody gets a wheel.",
        None,
        {"workshops": "Workshops", "dance": "Dance", "floor": "Dance floor"},
    ),
}
ZONES = {"linde": "Europe/Berlin", "blue-cellar": "Europe/Berlin", "clay-and-steps": "Europe/Lisbon"}

ADULT = DemoType("Full price", "18.00", text="For everybody who can afford it")
REDUCED = DemoType("Reduced", "11.00", capacity=30, text="Students, trainees, seniors, with proof at the door")
SUPPORT = DemoType("Solidarity", "25.00", text="Pays for somebody else's reduced ticket")


@dataclass(frozen=True)
class DemoRoom:
    """A calendar that can be booked: `rules` are BookingRules; peaks are (weekday or None, from, to, price)."""

    page: str
    calendar: str
    text: str
    rules: dict[str, object]
    opens: str
    closes: str
    weekdays: tuple[int, ...] = (0, 1, 2, 3, 4, 5, 6)
    peaks: tuple[tuple[int | None, str, str, str], ...] = ()
    closed_in_days: tuple[int, ...] = ()


ROOMS = (
    DemoRoom(
        "linde", "rehearsal",
        "Forty square metres with a piano, a drum kit and thick walls. The key is at the bar.",
        {"slot_minutes": 90, "price": Decimal("18.00"), "price_per": "slot", "notice_minutes": 120},
        "10:00", "22:00", weekdays=(0, 1, 2, 3, 4, 5), closed_in_days=(12,),
    ),
    DemoRoom(
        "clay-and-steps", "floor",
        "Sprung wood, mirrors on one side, a sound system. Bring shoes that have not seen the street.",
        {
            "price": Decimal("22.00"), "min_minutes": 60, "max_minutes": 240, "step_minutes": 30, "setup_minutes": 15,
            "cleanup_minutes": 15,
        },
        "08:00", "23:00", peaks=((None, "18:00", "00:00", "32.00"), (5, "08:00", "18:00", "28.00")),
    ),
)  # fmt: skip

EVENTS = (
    DemoEvent(
        "blue-cellar", "concerts", "Mara Lindqvist Quartet", "jazz-night", 4, "20:30", 150,
        "Nordic songs without words, and one with.",
        "Mara Lindqvist plays the tenor like a cello. With Jonas Weber (piano), Ida Falk (bass) and Sam Otieno "
        "(drums).\n\nTwo sets with a break. Seats are not numbered; come early if you want the arch.",
        types=(DemoType("Seat", "22.00"), DemoType("Student", "12.00", capacity=15, text="With a student card")),
        capacity=60, sold=(18, 6),
    ),
    DemoEvent(
        "linde", "stage", "The Cherry Orchard", "theatre", 6, "19:30", 165,
        "Chekhov, played by the house ensemble in the old wallpaper.",
        "An estate is sold, and nobody says what they mean. Eleven amateurs, one professional dog.\n\n"
        "In German with English surtitles.",
        types=(ADULT, REDUCED, SUPPORT), capacity=120, sold=(22, 9, 3),
    ),
    DemoEvent(
        "linde", "stage", "Poetry Slam: Winter Round", "poetry-slam", 9, "20:00", 120,
        "Eight poets, six minutes each, you are the jury.",
        "Sign up for the open list at the bar until half past seven. The winner goes to the city final in March.",
        price="9.00", capacity=24, sold=(21,),
    ),
    DemoEvent(
        "clay-and-steps", "workshops", "Raku Firing Day", "ceramics", 11, "10:00", 360,
        "Glaze in the morning, fire in the afternoon, carry it home warm.",
        "Bring two biscuit-fired pieces or take two of ours. Closed shoes, nothing synthetic. Soup is included.",
        price="48.00", capacity=12, sold=(12,),
    ),
    DemoEvent(
        "linde", "house", "Winter Flea Market", "flea-market", 13, "11:00", 300,
        "Forty tables in two halls, coffee from the samovar.",
        "Free for visitors, and you need no ticket for it: just come.",
    ),
    DemoEvent(
        "linde", "cinema", "Film Club: Playtime", "film-club", 3, "19:00", 135,
        "Jacques Tati against the glass city, 1967, in 35 mm.",
        "With a short introduction by Ewa Brandt. Members of the film club get in free: take the members' ticket.",
        types=(DemoType("Ticket", "7.50"), DemoType("Film club member", "0.00", text="With the membership card")),
        capacity=48, sold=(9, 5),
    ),
    DemoEvent(
        "linde", "house", "Open Talk: Who Owns the Night Bus?", "lecture", 8, "18:30", 90,
        "The traffic plan for our quarter, explained by those who drew it.",
        "Free, but the room is small: take a ticket so that we know how many chairs to carry.",
        price="0.00", capacity=60, sold=(17,),
    ),
    DemoEvent(
        "clay-and-steps", "dance", "Forró for Beginners", "dance-class", 5, "18:00", 120,
        "One evening, three steps, live accordion for the last half hour.",
        "No partner needed. Wear shoes that turn.",
        types=(DemoType("Dancer", "14.00"), DemoType("Pair", "12.00", minimum=2, maximum=8, text="Each, two or more")),
        capacity=30, sold=(6, 4), room="floor",
    ),
    DemoEvent(
        "linde", "stage", "The Moon in the Wardrobe", "puppets", 14, "15:00", 55,
        "A puppet play for everybody from four up.",
        "Mila cannot sleep, because the moon has moved into her wardrobe. Children sit in front.",
        types=(DemoType("Child", "6.00"), DemoType("Grown-up", "9.00")), capacity=70, sold=(12, 8),
    ),
    DemoEvent(
        "blue-cellar", "sessions", "Open Session", "jazz-night", 10, "21:00", 180,
        "The house trio opens, then the stage is yours.",
        "Players get in free at the door. Everybody else supports the trio.",
        price="8.00", capacity=60, sold=(4,),
    ),
    DemoEvent(
        "linde", "stage", "House Choir: Light in the Dark", "choir", 20, "17:00", 90,
        "Carols you know, and five that you do not.",
        "Fifty-two voices under Miriam Okafor. Mulled wine in the yard afterwards.",
        types=(ADULT, REDUCED), capacity=120, sold=(14, 6),
    ),
    DemoEvent(
        "blue-cellar", "concerts", "New Year's Ball", "new-year-ball", 39, "20:00", 330,
        "A ten-piece band, a midnight soup, no speeches.",
        "Tickets go on sale in a week. Black tie if you like, dry shoes if you can.",
        types=(DemoType("Ball", "55.00"), DemoType("From midnight", "20.00", capacity=20)),
        capacity=80, sale_opens_in_days=7,
    ),
    DemoEvent(
        "clay-and-steps", "workshops", "Open-Air Cinema: The Red Balloon", "open-air-cinema", 16, "19:30", 75,
        "In the garden, with blankets and a brazier.",
        "Only if it does not rain; if it does, we move it and tell you.",
        price="5.00", capacity=50, cancelled=True,
    ),
    DemoEvent(
        "linde", "cinema", "Film Club: The Gleaners and I", "film-club", -6, "19:00", 100,
        "Agnès Varda among potatoes.",
        "Free evening of the film club.",
        price="0.00", capacity=48, sold=(23,),
    ),
)  # fmt: skip

PRODUCTS = (
    DemoProduct(
        "linde", "mug", "House mug", "14.00", "Blue outside, white inside, holds a quarter of a litre.",
        "Turned and glazed by the pottery group in the yard. No two are the same blue.\n\n"
        "Yours waits at the bar: show the code.",
    ),
    DemoProduct(
        "linde", "poster", "Season poster, signed", "18.00", "All forty evenings of the season on one sheet.",
        "Screen print in two colours, 50 x 70 cm, numbered and signed by Ewa Brandt.", stock=7,
    ),
    DemoProduct(
        "linde", "cookbook", "The Bar's Cookbook", "22.00", "Thirty-one soups, one for each day of a long month.",
        "Second edition. The third is at the printer's.", stock=0,
    ),
    DemoProduct(
        "blue-cellar", "record", "Live in the Cellar (LP)", "24.00", "The house trio, one night in March, no overdubs.",
        "180 grams of vinyl with a download code. Pick it up at the till before or after a concert.", stock=60,
    ),
    DemoProduct(
        "blue-cellar", "candle", "A hundred evenings", "9.50", "A candle that burns as long as a hundred sets.",
        "Poured from what is left on the tables.", stock=3,
    ),
)  # fmt: skip

#: The last one is the demo buyer's: all three kinds in one cart, paid once.
ORDERS = (
    DemoOrder("mug and poster", "guest3@example.org", products=(("poster", 1), ("mug", 2))),
    DemoOrder("record and candle", "guest5@example.org", products=(("record", 1), ("candle", 1))),
    DemoOrder("dance floor", "guest7@example.org", rooms=(("clay-and-steps", "floor", 2),)),
    DemoOrder("three mugs", "guest8@example.org", products=(("mug", 3),)),
    DemoOrder(
        "all three", "buyer@example.org", tickets=(("The Cherry Orchard", (1, 1)),), products=(("mug", 1),),
        rooms=(("linde", "rehearsal", 3),),
    ),
)  # fmt: skip
#: The order of which one product is paid back, and the one of which SumUp's books hold a refund that ours do not.
REFUND = "mug and poster"
OUTSIDE = "record and candle"

#: What each picture of dev/demo/pictures shows.
SHOWN = {
    "candle": "A lit candle in the dark",
    "ceramics": "Three painted clay jugs on a shelf",
    "choir": "A choir of many singers under a line of notes",
    "cookbook": "A green cookbook with a steaming bowl of soup on its cover",
    "dance-class": "Two dancers between coloured ribbons",
    "film-club": "An old film projector throws its light on a hill",
    "flea-market": "A market stall's striped awning over patterned tiles",
    "jazz-night": "Piano keys, a record and sound waves",
    "lecture": "The planets go round the sun above an open book",
    "mug": "A blue mug of steaming coffee",
    "new-year-ball": "A mirror ball among confetti",
    "open-air-cinema": "An audience before a screen under the moon",
    "poetry-slam": "A microphone in front of lines of verse",
    "poster": "A poster of a white sun on orange, signed",
    "puppets": "Two puppets on strings wave",
    "record": "A record half out of its sleeve",
    "theatre": "A mask in the spotlight between red curtains",
}
