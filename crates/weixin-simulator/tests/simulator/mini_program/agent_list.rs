//! WeChat's own agents of an app, and who is there.

use weixin::mini_program::KfAccount;
use weixin_simulator::{AgentSetup, AppSetup, DEMO_KF_ACCOUNT};

use super::get;
use crate::support::{Stage, appid};

#[tokio::test(flavor = "multi_thread")]
async fn only_who_is_there_is_listed_as_online_with_the_sessions_held() {
    let stage = Stage::new().await;
    let mut app = AppSetup::demo();
    let away = KfAccount::parse("kf2002@fake00000001").unwrap();
    app.agents.push(AgentSetup { kf_account: away, nickname: "Xiao Li".to_owned(), online: false });
    stage.sim.add_app(&app);
    let all = get(&stage, "/cgi-bin/customservice/getkflist", "").await;
    assert_eq!(all["kf_list"].as_array().unwrap().len(), 2);
    stage.li.send_text("有人吗");
    stage.sim.agents(&appid()).unwrap().take(stage.li.openid(), DEMO_KF_ACCOUNT).unwrap();
    let online = get(&stage, "/cgi-bin/customservice/getonlinekflist", "").await;
    let [agent] = &online["kf_online_list"].as_array().unwrap()[..] else { panic!("{online}") };
    assert_eq!((&agent["kf_account"], &agent["status"]), (&DEMO_KF_ACCOUNT.into(), &1.into()));
    assert_eq!(agent["accepted_case"], 1);
}
