"""The words of invite codes: easily said and heard apart, none the other's beginning; three letters tell each."""

WORDS = tuple(
    """
    acorn airport album almond alpine amber anchor angel antler apple apricot arctic arena arrow artist aspen atlas
    autumn avenue avocado award baker ballet bamboo banjo beacon beetle bench bicycle biscuit blanket blossom bobcat
    bonnet border bridge brook bubble bucket buffalo butter cabin cactus camel candle captain caravan cathedral
    cedar center ceramic cherry chimney chocolate cinema circle citrus clarinet clock cobalt coconut coffee compass
    concert copper cotton crayon cricket crystal cuckoo cushion cymbal dahlia dancer daylight denim desert diamond
    director doctor dolphin domino donkey drawer drummer dumpling dune dynamo eagle earth echo eclipse editor
    eggplant elbow electric emerald envelope express fabric falcon farmer feather fennel fiddle finger flamingo
    flower flute forest fossil fountain fudge furnace gadget galaxy garden gazelle giraffe glacier glider globe
    goblet gondola gorilla granite guitar gymnast harbor hawk helmet hickory hippo hobby holiday horizon house
    hydrant iceberg igloo impala insect iris island ivory jaguar jasmine jelly jewel jigsaw journal jubilee juice
    jungle jupiter kangaroo karate kayak keyboard kimono kingdom kitchen kiwi koala ladder lagoon lantern laptop
    lasagna laundry lavender legend lemon leopard lettuce library lilac linen lizard llama lobster lotus lunar lyric
    magnet mailbox mammoth marble meadow mercury meteor mimosa mirror mitten muffin mulberry muscle napkin narwhal
    nature navy nebula necklace nickel nomad noodle nougat nugget nutmeg nylon oasis oatmeal ocean octopus olive
    omelet onion opal opera orange orbit orchard oregano osprey ostrich oxygen painter palace pancake papaya pastry
    patio pavement peanut pelican pencil perfume petal piano picnic pilot pistachio pixel poem polar popcorn
    portrait potato prairie pudding pulley pumpkin puppet purple pyramid python quarry queen quilt rabbit raccoon
    radish raft rainbow raven razor record ribbon rodeo roller ruby rustic safari sailor salad sandal sapphire
    savanna scarf school scooter sculptor sequoia sidewalk signal silver sketch skylark sledge slipper smile snorkel
    soccer sofa sonata spinach spruce stadium steamer swallow sycamore syrup tadpole talent tapestry teacup tempo
    tennis terrace theater thimble thunder toast torch toucan tractor treasure triangle trumpet tugboat tulip tundra
    tuxedo twig ukulele umbrella unicorn vacuum vanilla vault veranda village vinegar violin visitor vivid volcano
    voyage vulture waffle walnut weaver weekend wheat whisker window wood workshop yacht yarn yogurt zebra zenith
    zeppelin zigzag zinc zodiac
    """.split()
)
