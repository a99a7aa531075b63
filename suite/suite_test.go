package suite
import "testing"
func TestSelfTest(t *testing.T){ for _,s:=range All(){ if err:=s.SelfTest();err!=nil{t.Error(err)}}}
