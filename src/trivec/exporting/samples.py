"""Texts on which an export is compared with its model where the user gives none of their own."""

from __future__ import annotations

__all__ = ["SAMPLES"]

SAMPLES = (
    "What is the difference between a dense and a sparse vector?",
    "How many people live in the largest city of the country?",
    "who discovered penicillin and when",
    "refund policy for damaged parcels",
    (
        "Photosynthesis turns light, water and carbon dioxide into sugar and oxygen. In plants it "
        "takes place in the chloroplasts, which hold the green pigment chlorophyll."
    ),
    (
        "The treaty was signed in 1648 and ended thirty years of war. It gave the princes of the "
        "empire the right to choose their religion and to make alliances of their own."
    ),
    (
        "To reset the device, hold the power button for ten seconds until the light turns red, "
        "then release it. All settings except the network password are lost."
    ),
    (
        "The central bank left its interest rate at 2.5 % on Thursday, since inflation had fallen "
        "for the third month in a row while unemployment stayed low."
    ),
    "def merge(left, right): return sorted(left + right)  # simple, but not linear",
    "Server error 0x80070057: the parameter is incorrect. Check the path and try again.",
    "稠密向量和稀疏向量有什么区别？",
    "这个国家最大的城市有多少人口？",
    "谁发明了青霉素",
    "包裹损坏怎么退款",
    "光合作用把光、水和二氧化碳转化为糖和氧气。在植物中，这一过程发生在含有叶绿素的叶绿体里。",
    "条约于1648年签订，结束了三十年的战争。它使帝国的诸侯有权选择自己的宗教，并自行结盟。",
    "要重置设备，请按住电源键十秒，直到指示灯变红后松开。除网络密码外的所有设置都会丢失。",
    "由于通货膨胀连续第三个月下降，而失业率保持低位，央行周四将利率维持在2.5%不变。",
    "患者主诉前额头痛三天，伴有发热和流脓涕，查体见上颌窦区压痛。",
    "合同自双方签字盖章之日起生效，有效期两年，期满前三十日内任何一方可书面通知对方终止。",
)
"""Texts in many languages, on which an export is compared with its model."""
