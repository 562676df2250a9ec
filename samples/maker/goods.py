"""Invented shops, goods, couriers and towns. Training and test pictures share none of them."""

import random
from dataclasses import dataclass


@dataclass(frozen=True)
class Goods:
    """One thing on sale: what it is called, how it is drawn, what it costs, which variants it has."""

    title: str
    name: str
    shape: str
    price: float
    options: tuple[str, ...]


@dataclass(frozen=True)
class World:
    """The names of one split."""

    makers: tuple[str, ...]
    goods: tuple[tuple[str, str], ...]
    virtues: tuple[str, ...]
    colors: tuple[str, ...]
    sizes: tuple[str, ...]
    shops: tuple[str, ...]
    couriers: tuple[str, ...]
    towns: tuple[str, ...]
    streets: tuple[str, ...]
    buyers: tuple[str, ...]


_TRAIN = World(
    makers=("晨露", "木叶集", "青岚", "海盐社", "小满屋", "北窗", "栗子家", "云朵里", "山前", "拾光"),
    goods=(
        ("保温杯", "bottle"),
        ("运动鞋", "shoe"),
        ("台灯", "lamp"),
        ("智能手机", "phone"),
        ("托特包", "bag"),
        ("马克杯", "cup"),
        ("礼盒装饼干", "box"),
        ("纯棉T恤", "shirt"),
        ("头戴耳机", "headphone"),
        ("平底锅", "pan"),
        ("布艺沙发", "sofa"),
        ("运动手表", "watch"),
        ("护手霜", "tube"),
        ("滚筒洗衣机", "washer"),
        ("绿萝盆栽", "plant"),
        ("乳胶枕", "pillow"),
        ("晴雨伞", "umbrella"),
        ("面霜", "jar"),
        ("蓝牙音箱", "speaker"),
        ("连衣裙", "dress"),
    ),
    virtues=(
        "加厚",
        "大容量",
        "便携",
        "静音",
        "家用",
        "新款",
        "轻奢",
        "耐用",
        "学生",
        "防滑",
        "可折叠",
        "高颜值",
    ),
    colors=("雾霾蓝", "奶油白", "樱花粉", "曜石黑", "薄荷绿", "焦糖棕"),
    sizes=("S码", "M码", "L码", "500ml", "750ml", "标准款", "升级款", "两件装"),
    shops=("木叶集旗舰店", "小满屋生活馆", "青岚数码专营店", "栗子家女装", "北窗家居旗舰店", "云朵里母婴店"),
    couriers=("鹿铃快运", "青鸟速递", "大雁物流", "飞燕快送"),
    towns=("云溪市", "青禾县", "望海市", "松江岭", "梅湾区", "柳塘镇"),
    streets=("春风路18号", "银杏大道206号", "南桥街道7幢", "荷塘小区3单元", "星河花园12栋"),
    buyers=("m**8", "清**风", "小**豆", "t**2", "爱**鱼", "阿**布"),
)
_TEST = World(
    makers=("鹤町", "半亩田", "橘猫造物", "雪松", "知夏", "南山客"),
    goods=(
        ("玻璃水瓶", "bottle"),
        ("帆布鞋", "shoe"),
        ("落地灯", "lamp"),
        ("折叠手机", "phone"),
        ("双肩书包", "bag"),
        ("陶瓷咖啡杯", "cup"),
        ("坚果礼箱", "box"),
        ("连帽卫衣", "shirt"),
        ("电竞耳麦", "headphone"),
        ("麦饭石煎锅", "pan"),
        ("懒人沙发", "sofa"),
        ("儿童手环", "watch"),
        ("洁面乳", "tube"),
        ("烘干机", "washer"),
        ("龟背竹", "plant"),
        ("护颈枕", "pillow"),
        ("自动雨伞", "umbrella"),
        ("蜂蜜罐", "jar"),
        ("电水壶", "kettle"),
        ("高清投影屏", "screen"),
    ),
    virtues=("耐高温", "免安装", "超轻", "复古", "防水", "亲肤", "省电", "原创", "车载", "宿舍"),
    colors=("极光紫", "燕麦色", "石墨灰", "落日橙", "湖水青"),
    sizes=("小号", "中号", "大号", "1.2L", "豪华款", "三只装"),
    shops=("鹤町官方店", "半亩田食品铺", "橘猫造物工作室", "雪松家电卖场", "知夏服饰"),
    couriers=("松果快递", "白帆速运", "竹蜻蜓配送"),
    towns=("桐城湾", "白鹭市", "石榴县", "远山区", "乌篷镇"),
    streets=("竹林巷33号", "滨湖二路9号", "书院里5座", "新港大厦1804"),
    buyers=("柠**茶", "w**k", "大**熊", "秋**叶", "z**1"),
)
_WORLDS = {"train": _TRAIN, "test": _TEST}


def world(split: str) -> World:
    return _WORLDS[split]


def pick_goods(rng: random.Random, split: str) -> Goods:
    names = world(split)
    name, shape = rng.choice(names.goods)
    first, second = rng.sample(names.virtues, 2)
    title = f"{rng.choice(names.makers)} {first}{name} {second}{rng.choice(('', '正品', '包邮', '特惠'))}"
    price = rng.choice((rng.randint(9, 99), rng.randint(50, 399), rng.randint(200, 3999)))
    cents = rng.choice((0.0, 0.9, 0.8, 0.5))
    options = (rng.choice(names.colors), rng.choice(names.sizes))
    return Goods(title, name, shape, price + cents, options)


# What a dialogue may talk about, by the characters in its name; the first match counts.
_SHAPE_WORDS: tuple[tuple[str, str], ...] = (
    ("tube", "霜 膏 乳 口红 漱口 染发 防晒 祛痘 精油"),
    ("lamp", "灯 浴霸"),
    ("washer", "洗衣机 洗碗机 烘 冰箱 空调 净化器 除湿 暖风 热水器 净水 扫地 洗地 吸尘 除螨 晾衣"),
    ("shoe", "鞋 靴"),
    ("phone", "手机 平板 信号 流量 WiFi 对讲 充电 门锁 插座 机顶盒 路由 网卡 上网卡 贴膜 屏膜 网络"),
    ("screen", "电视 投影 笔记本 打印 键盘 相机 摄像 车窗 游戏"),
    ("headphone", "耳机"),
    ("watch", "表 手环 手镯 项链"),
    ("speaker", "音箱 收音机 香薰 加湿"),
    ("pan", "锅 烤 铲 刀 剪 勺 蛋器 削皮"),
    ("kettle", "壶 破壁 电器"),
    ("cup", "杯 碗 餐具 茶具 饭盒 缸"),
    ("bottle", "瓶 洗衣液 洗洁 洗护 洗发 护发 牛奶 酸奶 精华 爽肤 除垢 杀虫 营养液 水垢"),
    ("jar", "罐 蜂蜜 奶粉 粉 益生菌 酵素 燕窝 茶 咖啡 麦片 粮"),
    ("plant", "绿萝 多肉 发财树 栀子 水仙 文竹 仙人掌 富贵竹 植物"),
    ("bag", "包 箱 钱包 袋"),
    ("dress", "裙 大衣 风衣 睡衣 围巾"),
    ("shirt", "衣 服 外套 卫 裤 开衫 T恤 毛衫 马甲 夹克 羽绒"),
    ("pillow", "枕 床 被 毯 毛巾 席 垫 毛绒 巾 睡袋 单"),
    ("sofa", "沙发 桌 柜 椅 推车"),
    ("umbrella", "伞 帽"),
)


def shape_of(name: str) -> str:
    """The drawing for a thing named in a dialogue; what nothing matches comes in a box."""
    return next((shape for shape, words in _SHAPE_WORDS if any(w in name for w in words.split())), "box")
