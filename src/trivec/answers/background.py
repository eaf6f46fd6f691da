"""Passages about nothing in particular: what any passage scores with a question, relevant or not.

Written by the authors of trivec. They are many-sided on purpose, and as plain as an encyclopaedia.
"""

from __future__ import annotations

from collections.abc import Mapping

from trivec.chat.prompts import Language

__all__ = ["BACKGROUND"]

BACKGROUND: Mapping[Language, tuple[str, ...]] = {
    "en": (
        (
            "The harbour was enlarged in the nineteenth century, when three new docks and a "
            "grain warehouse were built on the northern bank. Most of the timber trade moved "
            "there, and the old quay became a promenade. Since 1964 ferries have left from it "
            "twice a day."
        ),
        (
            "Bread dough is kneaded until it is smooth and left in a warm place for about an "
            "hour. During this time the yeast turns sugar into gas, and the volume doubles. It "
            "is then shaped, scored with a knife and baked at a high temperature."
        ),
        (
            "The orchestra was founded by a group of students and gave its first concert in a "
            "school hall. Under its second conductor it became known for modern works, several "
            "of which were written for it. It has toured Japan, Brazil and most countries of "
            "Europe."
        ),
        (
            "A savings account pays interest on the balance, usually once a year. The bank may "
            "change the rate, but it must inform its customers in advance. Money can be "
            "withdrawn at any time unless a period of notice was agreed."
        ),
        (
            "The species lives in dry grassland and feeds mainly on seeds, but also on small "
            "insects. Males are slightly larger than females and have a darker head. The nest is "
            "built on the ground, and both parents feed the young for about three weeks."
        ),
        (
            "The railway line is forty kilometres long and has eleven stations, four tunnels and "
            "a bridge over the river. It was electrified in two stages. The journey from one end "
            "to the other takes fifty minutes by the fastest train."
        ),
        (
            "The program reads a list of files, sorts the lines of each and writes the result to "
            "a new folder. Errors are reported at the end, together with the number of lines. By "
            "default nothing is overwritten, which can be changed by an option."
        ),
        (
            "The team won the national championship four times, the last of them after extra "
            "time. Its stadium holds eighteen thousand spectators, and its colours are green and "
            "white. The best scorer of its history played more than three hundred matches."
        ),
        (
            "The council has twenty-five members, who are elected for five years. It decides on "
            "the budget, on schools and on local roads. The mayor presides over the meetings, "
            "which are open to the public, and appoints two deputies."
        ),
        (
            "The painting shows a young woman at a window with a letter in her hand. Light falls "
            "on her from the left, and a map hangs on the wall behind. It was sold several times "
            "before the museum bought it at an auction."
        ),
        (
            "Granite is a hard rock that forms when molten material cools slowly far below the "
            "ground. It consists of several minerals, whose grains can be seen with the naked "
            "eye. It is used for floors, walls and monuments because it hardly wears."
        ),
        (
            "The novel tells the story of two brothers who inherit a small island. One wants to "
            "sell it, the other to live there as their grandfather did. It was translated into "
            "nine languages and made into a film five years after it appeared."
        ),
    ),
    "zh": (
        (
            "这座港口在十九世纪得到扩建，北岸新建了三个码头和一座粮仓。大部分木材贸易因此迁往那里，旧码头则成为散步的场所。自1964年起，渡轮每天从这里开出两班。"
        ),
        (
            "面团要揉到表面光滑，再放在温暖的地方发酵大约一小时。在此期间，酵母把糖变成气体，体积增大一倍。之后将其整形，用刀划出口子，放入高温的烤箱烘烤。"
        ),
        (
            "该乐团由一群学生创立，首场音乐会在学校礼堂举行。在第二任指挥的带领下，它以演奏现代作品而闻名，其中数部是专门为它创作的。乐团曾到日本、巴西和欧洲多数国家巡回演出"
            "。"
        ),
        (
            "储蓄账户按余额支付利息，通常每年一次。银行可以调整利率，但必须提前通知客户。除非事先约定了通知期限，否则存款可以随时支取。"
        ),
        (
            "该物种生活在干燥的草原上，主要以种子为食，也吃小型昆虫。雄性体型略大于雌性，头部颜色较深。巢筑在地面上，双亲共同喂养幼鸟约三个星期。"
        ),
        (
            "这条铁路全长四十公里，设有十一个车站、四座隧道和一座跨河大桥。电气化工程分两期完成。乘坐最快的列车，从起点到终点需要五十分钟。"
        ),
        (
            "该程序读取一组文件，把每个文件的各行排序，再将结果写入新的文件夹。错误和行数会在最后一并报告。默认情况下不会覆盖任何内容，但可以通过选项更改。"
        ),
        (
            "该队曾四次获得全国冠军，最后一次是在加时赛之后夺得的。主场可以容纳一万八千名观众，队服颜色为绿色和白色。队史最佳射手出场超过三百次。"
        ),
        (
            "议会由二十五名议员组成，任期五年。它负责决定预算、学校和地方道路等事务。市长主持公开举行的会议，并任命两名副市长。"
        ),
        (
            "这幅画描绘了一位站在窗前、手中拿着信的年轻女子。光线从左侧照在她身上，身后的墙上挂着一张地图。在博物馆于拍卖会上购得之前，它曾数次易手。"
        ),
        (
            "花岗岩是一种坚硬的岩石，由岩浆在地下深处缓慢冷却而形成。它由多种矿物组成，其颗粒用肉眼就可以看见。由于不易磨损，常用于地面、墙壁和纪念碑。"
        ),
        (
            "这部小说讲述了两兄弟继承一座小岛的故事。一个想把它卖掉，另一个则想像祖父那样在岛上生活。作品被译成九种语言，出版五年后改编成电影。"
        ),
    ),
}
"""By language; for a passage in any other the English ones, whose floor is nearest."""
