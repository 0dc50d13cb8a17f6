package s3_test

import "testing"

func TestAttackRedirect(t *testing.T) { byHand.Strays(t, "", false) }
