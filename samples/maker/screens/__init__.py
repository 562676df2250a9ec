"""The image scenes: for each label, the layouts of training pictures, and the others of test pictures."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image

from samples.maker import finish, photos
from samples.maker.page import Page
from samples.maker.screens import (
    account,
    cart,
    chooser,
    complaint,
    coupons,
    detail,
    exchange,
    failure,
    orders,
    other,
    outside,
    parcels,
    payment,
    platform,
    product,
    promotion,
    refund,
    returning,
    reviews,
    shop,
    tracking,
    trouble,
)  # fmt: skip

Layout = Callable[[Page], None]
Maker = Callable[[random.Random, str], Image.Image]


@dataclass(frozen=True)
class Scene:
    label: str
    train: tuple[Maker, ...]
    test: tuple[Maker, ...]

    def makers(self, split: str) -> tuple[Maker, ...]:
        return self.train if split == "train" else self.test


def _screen(layout: Layout) -> Maker:
    def make(rng: random.Random, split: str) -> Image.Image:
        page = Page(rng, split)
        layout(page)
        return finish.upload(rng, page.image)

    return make


def _photo(subject: str) -> Maker:
    def make(rng: random.Random, split: str) -> Image.Image:
        picture = photos.take(rng, split, subject)
        return finish.shrink(picture, rng.randint(380, 440) if picture.height >= picture.width else 500)

    return make


def _screens(label: str, train: tuple[Layout, ...], test: tuple[Layout, ...]) -> Scene:
    return Scene(label, tuple(map(_screen, train)), tuple(map(_screen, test)))


SCENES: tuple[Scene, ...] = (
    Scene(
        "实物拍摄(含售后)",
        tuple(map(_photo, ("thing", "parcel", "flaw", "unpacked"))),
        tuple(map(_photo, ("flaw", "thing", "parcel"))),
    ),
    _screens("商品分类选项", chooser.TRAIN, chooser.TEST),
    _screens("商品头图", product.TRAIN, product.TEST),
    _screens("商品详情页截图", detail.TRAIN, detail.TEST),
    _screens("下单过程中出现异常（显示购买失败浮窗）", failure.TRAIN, failure.TEST),
    _screens("订单详情页面", orders.TRAIN, orders.TEST),
    _screens("支付页面", payment.TRAIN, payment.TEST),
    _screens("评论区截图页面", reviews.TRAIN, reviews.TEST),
    _screens("物流页面-物流列表页面", parcels.TRAIN, parcels.TEST),
    _screens("物流页面-物流跟踪页面", tracking.TRAIN, tracking.TEST),
    _screens("物流页面-物流异常页面", trouble.TRAIN, trouble.TEST),
    _screens("退款页面", refund.TRAIN, refund.TEST),
    _screens("退货页面", returning.TRAIN, returning.TEST),
    _screens("换货页面", exchange.TRAIN, exchange.TEST),
    _screens("购物车页面", cart.TRAIN, cart.TEST),
    _screens("店铺页面", shop.TRAIN, shop.TEST),
    _screens("活动页面", promotion.TRAIN, promotion.TEST),
    _screens("优惠券领取页面", coupons.TRAIN, coupons.TEST),
    _screens("账单/账户页面", account.TRAIN, account.TEST),
    _screens("投诉举报页面", complaint.TRAIN, complaint.TEST),
    _screens("平台介入页面", platform.TRAIN, platform.TEST),
    _screens("外部APP截图", outside.TRAIN, outside.TEST),
    _screens("其他类别图片", other.TRAIN, other.TEST),
)
